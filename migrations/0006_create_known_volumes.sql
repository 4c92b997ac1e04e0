-- The roots that were accepted, and the id in the sentinel file of each. A known root whose sentinel is missing is
-- a volume that has vanished, never one to be accepted anew.
CREATE TABLE known_volumes (
    path text PRIMARY KEY,
    sentinel text NOT NULL CHECK (sentinel ~ '^[0-9a-f]{32}$'),
    accepted_at timestamptz NOT NULL DEFAULT now()
);
