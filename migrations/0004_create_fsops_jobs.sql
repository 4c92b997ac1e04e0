-- What the pipeline is to do: one job per torrent and content generation. What stands on disk is the journal's
-- word, beside the library; this table says whether to run, and with which settings.
CREATE TABLE fsops_jobs (
    id           bigserial PRIMARY KEY,
    torrent_id   uuid NOT NULL REFERENCES torrents (id) ON DELETE CASCADE,
    generation   integer NOT NULL CHECK (generation >= 0),
    status       text NOT NULL
                 CHECK (status IN ('queued', 'waiting', 'running', 'completed', 'failed', 'canceled')),
    -- How often it was claimed.
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- The settings as they were when it was claimed: a later change does not split a job.
    policy       jsonb,
    -- Where it stands or stopped, and why.
    step         text,
    message      text,
    library_path text,
    -- A waiting job is not tried again before this.
    not_before   timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (torrent_id, generation)
);

-- What a start has to take up again.
CREATE INDEX fsops_jobs_pending ON fsops_jobs (id) WHERE status IN ('queued', 'waiting', 'running');
