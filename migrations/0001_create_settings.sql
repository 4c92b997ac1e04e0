-- Settings: typed documents, keys, secrets, presets, their one revision and their history.
--
-- Three things hold for every table that counts towards the revision, whoever writes (the server or psql):
--   * a statement first locks `settings_revision`, so writers queue in one order and cannot deadlock;
--   * a transaction raises the revision by exactly one, and only where a row really differs;
--   * each differing row leaves a history row and a NOTIFY, secrets masked.
-- The CHECK constraints are the shape rules of `revaer-config` (field.rs, rule.rs) in SQL; a test compares them.

-- Shapes ---------------------------------------------------------------------------------------------------

CREATE DOMAIN settings_path AS text CHECK (
    octet_length(VALUE) <= 4096
    AND VALUE ~ '^(/|(/[^/]+)+)$'
    AND VALUE !~ '(^|/)[.]{1,2}(/|$)'
    AND VALUE !~ '[\u0001-\u001f\u007f-\u009f]'
);

CREATE DOMAIN settings_ip AS inet CHECK (
    masklen(VALUE) = CASE family(VALUE) WHEN 4 THEN 32 ELSE 128 END
);

CREATE DOMAIN settings_label AS text CHECK (
    char_length(VALUE) BETWEEN 1 AND 128 AND VALUE !~ '[\u0001-\u001f\u007f-\u009f]'
);

CREATE DOMAIN settings_url AS text CHECK (
    octet_length(VALUE) <= 1024 AND VALUE ~ '^(https?|udp)://[\u0021-\u007e]+$'
);

CREATE DOMAIN settings_mode_bits AS text CHECK (VALUE ~ '^[0-7]{3,4}$');

CREATE DOMAIN settings_account AS text CHECK (
    VALUE ~ '^([A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,9})$'
);

CREATE DOMAIN settings_host AS text CHECK (
    VALUE ~ '^([A-Za-z0-9_]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])$'
);

CREATE DOMAIN settings_origin AS text CHECK (
    VALUE ~ '^https?://([A-Za-z0-9_]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$'
);

CREATE DOMAIN settings_key_path AS text CHECK (
    octet_length(VALUE) <= 128 AND VALUE ~ '^[a-z0-9_]+([.][a-z0-9_]+){0,2}([.][*])?$'
);

-- The glob grammar: `*`, `**`, `?`, `[set]` and `{a,b}`; sets and braces do not nest, ranges rise.
-- A backslash escapes the next character outside a set.
CREATE FUNCTION settings_glob_ok(glob text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path FROM CURRENT AS $$
DECLARE
    at int := 1;
    here text;
    first int;
    braces boolean := false;
BEGIN
    IF octet_length(glob) NOT BETWEEN 1 AND 512 OR glob ~ '[\u0001-\u001f\u007f-\u009f]' THEN
        RETURN false;
    END IF;
    WHILE at <= char_length(glob) LOOP
        here := substr(glob, at, 1);
        IF here = '\' THEN
            IF at = char_length(glob) THEN RETURN false; END IF;
            at := at + 1;
        ELSIF here = '{' THEN
            IF braces THEN RETURN false; END IF;
            braces := true;
        ELSIF here = '}' THEN
            IF NOT braces THEN RETURN false; END IF;
            braces := false;
        ELSIF here = ']' THEN
            RETURN false;
        ELSIF here = '[' THEN
            at := at + 1;
            IF substr(glob, at, 1) IN ('!', '^') THEN at := at + 1; END IF;
            first := at;
            LOOP
                here := substr(glob, at, 1);
                IF here = '' OR here IN ('[', '\', '/') THEN RETURN false; END IF;
                EXIT WHEN here = ']';
                IF here = '-' THEN
                    -- A range has an end on either side, each a character of its own.
                    IF at = first OR substr(glob, at + 1, 1) IN ('', ']', '[', '\', '/', '-') THEN RETURN false; END IF;
                    IF ascii(substr(glob, at - 1, 1)) > ascii(substr(glob, at + 1, 1)) THEN RETURN false; END IF;
                    at := at + 1;
                    IF substr(glob, at + 1, 1) = '-' THEN RETURN false; END IF;
                END IF;
                at := at + 1;
            END LOOP;
            IF at = first THEN RETURN false; END IF;
        END IF;
        at := at + 1;
    END LOOP;
    RETURN NOT braces;
END $$;

CREATE DOMAIN settings_glob AS text CHECK (settings_glob_ok(VALUE));

-- A list is one-dimensional, holds no NULL and at most 64 entries.
CREATE FUNCTION settings_list_ok(list anyarray) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(array_ndims(list), 1) = 1 AND cardinality(list) <= 64 AND array_position(list, NULL) IS NULL
$$;

-- Revision and history -------------------------------------------------------------------------------------

CREATE TABLE settings_revision (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision   bigint NOT NULL CHECK (revision >= 0),
    changed_at timestamptz NOT NULL
);
INSERT INTO settings_revision (revision, changed_at) VALUES (0, now());

CREATE TABLE settings_history (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision   bigint NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text NOT NULL,
    request_id text,
    reason     text,
    section    text NOT NULL,
    op         text NOT NULL,
    row_key    text NOT NULL,
    old        jsonb,
    new        jsonb
);
CREATE INDEX settings_history_revision ON settings_history (revision, id);
CREATE INDEX settings_history_section ON settings_history (section, id DESC);

-- Who is writing: a transaction-local setting, else the database role.
CREATE FUNCTION settings_note(
    revision bigint, table_name text, section text, op text, row_key text, old jsonb, new jsonb
) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO settings_history (revision, actor, request_id, reason, section, op, row_key, old, new)
    VALUES (
        revision,
        coalesce(nullif(current_setting('revaer.actor', true), ''), session_user::text),
        nullif(current_setting('revaer.request_id', true), ''),
        nullif(current_setting('revaer.reason', true), ''),
        section, op, row_key, old, new
    );
    PERFORM pg_notify('revaer_settings_changed', table_name || ':' || revision || ':' || op);
END $$;

CREATE FUNCTION settings_lock() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM settings_revision FOR UPDATE;
    RETURN NULL;
END $$;

-- Raises the revision once per transaction. The mark is a transaction-local setting and not a transaction id in
-- the row: it is undone with a savepoint, and means nothing in a restored cluster.
CREATE FUNCTION settings_bump() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    reached bigint;
BEGIN
    SELECT r.revision INTO reached FROM settings_revision r;
    IF current_setting('revaer.reached_revision', true) IS DISTINCT FROM reached::text THEN
        UPDATE settings_revision r SET revision = r.revision + 1, changed_at = clock_timestamp()
            RETURNING r.revision INTO reached;
        PERFORM set_config('revaer.reached_revision', reached::text, true);
    END IF;
    RETURN reached;
END $$;

-- Arguments: section, key column, masked columns (a text[] literal).
CREATE FUNCTION settings_record() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    section    text := TG_ARGV[0];
    key_column text := TG_ARGV[1];
    masked     text[] := TG_ARGV[2]::text[];
    change     record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR change IN
            SELECT to_jsonb(n) ->> key_column AS row_key, NULL::jsonb AS was, to_jsonb(n) AS became FROM new_rows n
        LOOP
            PERFORM settings_note(settings_bump(), TG_TABLE_NAME, section, 'insert', change.row_key,
                                  NULL, settings_masked(change.became, masked));
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR change IN
            SELECT to_jsonb(o) ->> key_column AS row_key, to_jsonb(o) AS was, NULL::jsonb AS became FROM old_rows o
        LOOP
            PERFORM settings_note(settings_bump(), TG_TABLE_NAME, section, 'delete', change.row_key,
                                  settings_masked(change.was, masked), NULL);
        END LOOP;
    ELSE
        FOR change IN
            SELECT coalesce(n.row_key, o.row_key) AS row_key, o.doc AS was, n.doc AS became
            FROM (SELECT to_jsonb(r) ->> key_column AS row_key, to_jsonb(r) AS doc FROM old_rows r) o
            FULL JOIN (SELECT to_jsonb(r) ->> key_column AS row_key, to_jsonb(r) AS doc FROM new_rows r) n
                ON n.row_key = o.row_key
            WHERE o.doc IS DISTINCT FROM n.doc
        LOOP
            PERFORM settings_note(settings_bump(), TG_TABLE_NAME, section, 'update', change.row_key,
                                  settings_masked(change.was, masked), settings_masked(change.became, masked));
        END LOOP;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION settings_masked(doc jsonb, masked text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT CASE WHEN doc IS NULL THEN NULL ELSE (
        SELECT jsonb_object_agg(e.key, CASE WHEN e.key = ANY (masked) AND e.value <> 'null' THEN '"***"'::jsonb ELSE e.value END)
        FROM jsonb_each(doc) e
    ) END
$$;

CREATE FUNCTION settings_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', lower(TG_OP), TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION settings_revision_only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.revision < OLD.revision THEN
        RAISE EXCEPTION 'the settings revision only grows: % is below %', NEW.revision, OLD.revision
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER only_grows BEFORE UPDATE ON settings_revision
    FOR EACH ROW EXECUTE FUNCTION settings_revision_only_grows();
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON settings_revision
    FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse('its one row orders every change');
CREATE TRIGGER keep BEFORE UPDATE OR TRUNCATE ON settings_history
    FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse('the history is only added to');

-- Documents ------------------------------------------------------------------------------------------------

CREATE TABLE settings_app_profile (
    singleton                      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id                             uuid NOT NULL DEFAULT gen_random_uuid(),
    instance_name                  settings_label NOT NULL DEFAULT 'revaer',
    mode                           text NOT NULL DEFAULT 'setup' CHECK (mode IN ('setup', 'active')),
    version                        bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    bind_addr                      settings_ip NOT NULL DEFAULT '127.0.0.1',
    http_port                      bigint NOT NULL DEFAULT 7070 CHECK (http_port BETWEEN 1 AND 65535),
    telemetry_log_level            text NOT NULL DEFAULT 'info'
        CHECK (telemetry_log_level IN ('error', 'warn', 'info', 'debug', 'trace')),
    telemetry_log_format           text NOT NULL DEFAULT 'pretty' CHECK (telemetry_log_format IN ('json', 'pretty')),
    telemetry_prometheus           boolean NOT NULL DEFAULT true,
    telemetry_otlp_endpoint        settings_url CHECK (telemetry_otlp_endpoint ~ '^http'),
    telemetry_event_retention_days bigint NOT NULL DEFAULT 30 CHECK (telemetry_event_retention_days BETWEEN 1 AND 36500),
    telemetry_event_retention_rows bigint NOT NULL DEFAULT 1000000
        CHECK (telemetry_event_retention_rows BETWEEN 1 AND 1000000000),
    features_fs_extract            boolean NOT NULL DEFAULT true,
    features_par2                  boolean NOT NULL DEFAULT true,
    features_sse_backpressure      boolean NOT NULL DEFAULT true,
    features_protect_observability boolean NOT NULL DEFAULT false,
    features_warn_unlimited_rates  boolean NOT NULL DEFAULT false,
    features_hardlink_fallback_copy boolean NOT NULL DEFAULT false,
    immutable_keys                 settings_key_path[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(immutable_keys)),
    allowed_hosts                  settings_host[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(allowed_hosts)),
    cors_origins                   settings_origin[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(cors_origins))
);

CREATE TABLE settings_engine_profile (
    singleton                        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    implementation                   text NOT NULL DEFAULT 'libtorrent' CHECK (implementation IN ('libtorrent')),
    listen_port                      bigint CHECK (listen_port BETWEEN 1 AND 65535),
    listen_interfaces                settings_ip[]
        CHECK (settings_list_ok(listen_interfaces) AND cardinality(listen_interfaces) >= 1),
    dht                              boolean NOT NULL DEFAULT true,
    lsd                              boolean NOT NULL DEFAULT true,
    upnp                             boolean NOT NULL DEFAULT false,
    natpmp                           boolean NOT NULL DEFAULT false,
    encryption                       text NOT NULL DEFAULT 'prefer' CHECK (encryption IN ('require', 'prefer', 'disable')),
    max_active                       bigint CHECK (max_active BETWEEN 0 AND 2147483647),
    max_download_bps                 bigint CHECK (max_download_bps BETWEEN 0 AND 9007199254740991),
    max_upload_bps                   bigint CHECK (max_upload_bps BETWEEN 0 AND 9007199254740991),
    sequential_default               boolean NOT NULL DEFAULT false,
    resume_dir                       settings_path NOT NULL,
    download_root                    settings_path NOT NULL,
    tracker_user_agent               settings_label,
    tracker_announce_ip              settings_ip,
    tracker_announce_port            bigint CHECK (tracker_announce_port BETWEEN 1 AND 65535),
    tracker_announce_to_all_trackers boolean NOT NULL DEFAULT false,
    tracker_announce_to_all_tiers    boolean NOT NULL DEFAULT false,
    tracker_extra_trackers           settings_url[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(tracker_extra_trackers)),
    tracker_replace_trackers         boolean NOT NULL DEFAULT false,
    resume_save_seconds              bigint NOT NULL DEFAULT 60 CHECK (resume_save_seconds BETWEEN 1 AND 86400),
    limit_local_peers                boolean NOT NULL DEFAULT true
);

CREATE TABLE settings_fs_policy (
    singleton                  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    library_root               settings_path NOT NULL,
    extract                    boolean NOT NULL DEFAULT true,
    par2                       text NOT NULL DEFAULT 'off' CHECK (par2 IN ('off', 'verify', 'repair')),
    flatten                    boolean NOT NULL DEFAULT false,
    move_mode                  text NOT NULL DEFAULT 'hardlink' CHECK (move_mode IN ('copy', 'move', 'hardlink')),
    checksum                   boolean NOT NULL DEFAULT false,
    cleanup_keep               settings_glob[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(cleanup_keep)),
    cleanup_drop               settings_glob[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(cleanup_drop)),
    chmod_file                 settings_mode_bits,
    chmod_dir                  settings_mode_bits,
    owner                      settings_account,
    group_name                 settings_account,
    umask                      settings_mode_bits CHECK (umask ~ '^0?[0-7]{3}$'),
    allow_paths                settings_path[] NOT NULL DEFAULT '{}' CHECK (settings_list_ok(allow_paths)),
    job_age_limit_seconds      bigint NOT NULL DEFAULT 3600 CHECK (job_age_limit_seconds BETWEEN 0 AND 31536000),
    step_latency_limit_seconds bigint CHECK (step_latency_limit_seconds BETWEEN 0 AND 31536000)
);

-- The application profile's own counter, so that a plain UPDATE raises it too.
CREATE FUNCTION settings_app_profile_version() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'the id of the application profile does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.version := OLD.version;
    IF to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD) THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER version BEFORE UPDATE ON settings_app_profile
    FOR EACH ROW EXECUTE FUNCTION settings_app_profile_version();

-- Keys, secrets, presets -----------------------------------------------------------------------------------

CREATE TABLE auth_api_keys (
    key_id                 text PRIMARY KEY CHECK (key_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    label                  settings_label NOT NULL,
    enabled                boolean NOT NULL DEFAULT true,
    secret_hash            text NOT NULL CHECK (secret_hash ~ '^[$]argon2id[$]' AND octet_length(secret_hash) <= 512),
    rate_limit_burst       bigint CHECK (rate_limit_burst BETWEEN 1 AND 4294967295),
    rate_limit_per_seconds bigint CHECK (rate_limit_per_seconds BETWEEN 1 AND 4294967295),
    created_at             timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now())
        CHECK (created_at BETWEEN '1970-01-01Z' AND '9999-12-31Z'),
    expires_at             timestamptz CHECK (expires_at BETWEEN '1970-01-01Z' AND '9999-12-31Z'),
    CHECK ((rate_limit_burst IS NULL) = (rate_limit_per_seconds IS NULL))
);

-- What a request is decided by. A row holds for one hash and one secret key only: where either differs it is
-- void, and made again from the argon2id hash. Not a setting: it bumps nothing.
CREATE TABLE auth_api_key_macs (
    key_id      text PRIMARY KEY REFERENCES auth_api_keys ON DELETE CASCADE ON UPDATE CASCADE,
    secret_hash text NOT NULL,
    sealing_key text NOT NULL,
    mac         bytea NOT NULL CHECK (octet_length(mac) = 32)
);

CREATE TABLE settings_secret (
    name        text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9._-]{1,128}$'),
    sealing_key text NOT NULL,
    sealed      bytea NOT NULL CHECK (octet_length(sealed) BETWEEN 40 AND 131072),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE query_presets (
    name       text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    filter     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(filter) = 'object'),
    sort       text CHECK (sort ~ '^[a-z_]{1,64}(:(asc|desc))?$'),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Setup tokens ---------------------------------------------------------------------------------------------

CREATE TABLE setup_tokens (
    id            uuid PRIMARY KEY,
    token_hash    text NOT NULL,
    issued_by     text NOT NULL,
    issued_at     timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    consumed_at   timestamptz,
    superseded_at timestamptz,
    expired_at    timestamptz
);
CREATE UNIQUE INDEX setup_tokens_one_live ON setup_tokens ((true))
    WHERE consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL;

CREATE FUNCTION setup_token_note() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    op text;
BEGIN
    op := CASE
        WHEN TG_OP = 'INSERT' THEN 'issued'
        WHEN NEW.consumed_at IS DISTINCT FROM OLD.consumed_at THEN 'consumed'
        WHEN NEW.superseded_at IS DISTINCT FROM OLD.superseded_at THEN 'superseded'
        WHEN NEW.expired_at IS DISTINCT FROM OLD.expired_at THEN 'expired'
        ELSE 'update'
    END;
    PERFORM settings_note(
        (SELECT revision FROM settings_revision), TG_TABLE_NAME, 'setup_tokens', op, NEW.id::text, NULL,
        jsonb_build_object('issued_by', NEW.issued_by, 'expires_at', NEW.expires_at)
    );
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON setup_tokens FOR EACH ROW EXECUTE FUNCTION setup_token_note();

-- Triggers of every table that counts ----------------------------------------------------------------------

DO $do$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES
        ('settings_app_profile',    'app_profile',    'singleton', '{}',              true),
        ('settings_engine_profile', 'engine_profile', 'singleton', '{}',              true),
        ('settings_fs_policy',      'fs_policy',      'singleton', '{}',              true),
        ('auth_api_keys',           'api_keys',       'key_id',    '{secret_hash}',   false),
        ('settings_secret',         'secrets',        'name',      '{sealed}',        false),
        ('query_presets',           'query_presets',  'name',      '{}',              false)
    ) AS v (name, section, key_column, masked, one_row) LOOP
        EXECUTE format('CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION settings_lock()', t.name);
        EXECUTE format('CREATE TRIGGER record_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION settings_record(%L, %L, %L)', t.name, t.section, t.key_column, t.masked);
        EXECUTE format('CREATE TRIGGER record_update AFTER UPDATE ON %I
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION settings_record(%L, %L, %L)', t.name, t.section, t.key_column, t.masked);
        EXECUTE format('CREATE TRIGGER record_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION settings_record(%L, %L, %L)', t.name, t.section, t.key_column, t.masked);
        EXECUTE format('CREATE TRIGGER b_keep BEFORE TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse(%L)', t.name, 'it would leave no history; DELETE rows instead');
        IF t.one_row THEN
            EXECUTE format('CREATE TRIGGER b_keep_row BEFORE DELETE ON %I
                FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse(%L)', t.name, 'its one row always exists; UPDATE it instead');
        END IF;
    END LOOP;
END $do$;
