-- The durable log of lifecycle events; `progress` is numbered and never written. The ledger is the only writer.
CREATE TABLE events (
    id         bigint PRIMARY KEY,
    at         timestamptz NOT NULL,
    kind       text NOT NULL,
    torrent_id uuid,
    request_id text,
    payload    jsonb NOT NULL
);

-- Ids are leased in blocks: a start begins where the last lease ended, so ids grow over crashes too.
-- Everything up to pruned_through has been dropped by retention.
CREATE TABLE event_log_state (
    singleton      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    leased_through bigint NOT NULL CHECK (leased_through < 9007199254740992),
    pruned_through bigint NOT NULL,
    -- The settings revision up to which `settings_changed` has been logged.
    settings_revision bigint NOT NULL DEFAULT 0,
    -- The ledger's last committed batch: tells whether a commit whose answer was lost has happened.
    last_batch     bigint NOT NULL DEFAULT 0
);
INSERT INTO event_log_state (leased_through, pruned_through) VALUES (0, 0);
