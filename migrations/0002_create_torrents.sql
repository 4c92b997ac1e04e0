-- Every torrent is a durable record. The ledger is the only writer.
CREATE TABLE torrents (
    id                uuid PRIMARY KEY,
    name              text NOT NULL,
    info_hash_v1      bytea CHECK (octet_length(info_hash_v1) = 20),
    info_hash_v2      bytea CHECK (octet_length(info_hash_v2) = 32),
    -- The magnet link as it was given; NULL where the torrent came as a .torrent.
    magnet            text,
    trackers          text[] NOT NULL,
    peers             text[] NOT NULL,
    tags              text[] NOT NULL,
    -- Where its content goes, and where it lies once that is decided.
    download_dir      text NOT NULL,
    save_dir          text,
    root_name         text,
    library_path      text,
    content_in_library boolean NOT NULL DEFAULT false,
    -- What is wanted.
    wanted            text NOT NULL CHECK (wanted IN ('running', 'stopped', 'removed')),
    delete_data       boolean NOT NULL DEFAULT false,
    sequential        boolean NOT NULL,
    seed_mode         boolean NOT NULL,
    max_download_bps  bigint CHECK (max_download_bps >= 0),
    max_upload_bps    bigint CHECK (max_upload_bps >= 0),
    include           text[] NOT NULL,
    exclude           text[] NOT NULL,
    skip_fluff        boolean NOT NULL,
    -- [[file index, "skip|low|normal|high"], …]
    priorities        jsonb NOT NULL,
    selection_version bigint NOT NULL,
    -- What is known of the content.
    has_metainfo      boolean NOT NULL,
    private           boolean NOT NULL DEFAULT false,
    is_directory      boolean NOT NULL DEFAULT false,
    extensions        text[] NOT NULL,
    wanted_bytes      bigint,
    generation        integer NOT NULL DEFAULT 0,
    complete          boolean NOT NULL DEFAULT false,
    failure           text,
    -- The elder torrent with the same content, where that only showed when metadata arrived.
    same_as           uuid,
    added_at          timestamptz NOT NULL,
    completed_at      timestamptz,
    -- The last observation, so that the first page after a start shows what was.
    last_state        text NOT NULL,
    bytes_done        bigint NOT NULL DEFAULT 0,
    bytes_downloaded  bigint NOT NULL DEFAULT 0,
    bytes_uploaded    bigint NOT NULL DEFAULT 0,
    last_updated      timestamptz NOT NULL,
    CHECK (info_hash_v1 IS NOT NULL OR info_hash_v2 IS NOT NULL),
    CHECK ((save_dir IS NULL) = (root_name IS NULL))
);

-- Tombstones keep their row until their files are gone, but no longer stand in the way of the same content; nor does
-- a torrent that gave way to an elder one.
CREATE UNIQUE INDEX torrents_info_hash_v1 ON torrents (info_hash_v1) WHERE wanted <> 'removed' AND same_as IS NULL;
CREATE UNIQUE INDEX torrents_info_hash_v2 ON torrents (info_hash_v2) WHERE wanted <> 'removed' AND same_as IS NULL;
-- No two torrents share a content path, tombstones included: their files are still there.
CREATE UNIQUE INDEX torrents_content_path ON torrents (save_dir, root_name);

-- What is large and seldom read: apart, so that loading the records does not touch it.
CREATE TABLE torrent_metainfo (
    torrent_id uuid PRIMARY KEY REFERENCES torrents (id) ON DELETE CASCADE,
    metainfo   bytea NOT NULL,
    -- Verified pieces when the torrent last left the engine; NULL: unknown.
    pieces     bytea
);
