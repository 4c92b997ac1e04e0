-- Fences off an instance that lost the database's instance lock: whoever takes the lock raises the epoch, and
-- every transaction of the ledger checks, under a share lock on this row, that its own epoch still stands.
CREATE TABLE instance_epoch (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    holder text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO instance_epoch (epoch, holder) VALUES (0, 'nobody');
