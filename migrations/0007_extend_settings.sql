-- Settings, second part: the time of a change is the time of its commit, a rotated key keeps its old secret for a
-- while, the history shows that a secret was replaced, and a preset holds a filter that a list takes.

-- Time of a change -----------------------------------------------------------------------------------------

-- Deferred, so that a transaction which stays open for long after its last statement does not look late.
CREATE FUNCTION settings_stamp() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE settings_revision SET changed_at = clock_timestamp();
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER stamp AFTER UPDATE OF revision ON settings_revision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settings_stamp();

-- A revision is reached one by one: a jump to the last number there is would leave no next one.
CREATE OR REPLACE FUNCTION settings_revision_only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.revision NOT IN (OLD.revision, OLD.revision + 1) THEN
        RAISE EXCEPTION 'the settings revision only grows, by one: % does not follow %', NEW.revision, OLD.revision
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- Rotation -------------------------------------------------------------------------------------------------

-- The secrets that a key had before, each taken until its end.
CREATE TABLE auth_api_key_previous (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key_id      text NOT NULL REFERENCES auth_api_keys ON DELETE CASCADE ON UPDATE CASCADE,
    secret_hash text NOT NULL CHECK (secret_hash ~ '^[$]argon2id[$]' AND octet_length(secret_hash) <= 512),
    until       timestamptz NOT NULL CHECK (until BETWEEN '1970-01-01Z' AND '9999-12-31Z'),
    UNIQUE (key_id, secret_hash)
);

-- One mark for each secret that a key is taken by.
ALTER TABLE auth_api_key_macs
    DROP CONSTRAINT auth_api_key_macs_pkey,
    ADD PRIMARY KEY (key_id, secret_hash);

-- History --------------------------------------------------------------------------------------------------

-- It is only added to: a revision that is missing in between would be told as another one.
CREATE TRIGGER keep_rows BEFORE DELETE ON settings_history
    FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse('the history is only added to');

-- What may be shown of `doc`: a masked column says no more than whether it differs from the same one of `other`.
CREATE FUNCTION settings_masked_against(doc jsonb, other jsonb, masked text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT CASE WHEN doc IS NULL THEN NULL ELSE (
        SELECT jsonb_object_agg(e.key, CASE
            WHEN NOT e.key = ANY (masked) OR e.value = 'null' THEN e.value
            WHEN other IS NULL OR other -> e.key = e.value THEN '"***"'::jsonb
            ELSE '"*** (replaced)"'::jsonb END)
        FROM jsonb_each(doc) e
    ) END
$$;

CREATE OR REPLACE FUNCTION settings_record() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
                                  NULL, settings_masked_against(change.became, NULL, masked));
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR change IN
            SELECT to_jsonb(o) ->> key_column AS row_key, to_jsonb(o) AS was, NULL::jsonb AS became FROM old_rows o
        LOOP
            PERFORM settings_note(settings_bump(), TG_TABLE_NAME, section, 'delete', change.row_key,
                                  settings_masked_against(change.was, NULL, masked), NULL);
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
                                  settings_masked_against(change.was, NULL, masked),
                                  settings_masked_against(change.became, change.was, masked));
        END LOOP;
    END IF;
    RETURN NULL;
END $$;

-- Secrets of before are settings like the keys that they belong to.
CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON auth_api_key_previous
    FOR EACH STATEMENT EXECUTE FUNCTION settings_lock();
CREATE TRIGGER record_insert AFTER INSERT ON auth_api_key_previous REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION settings_record('api_keys', 'id', '{secret_hash}');
CREATE TRIGGER record_update AFTER UPDATE ON auth_api_key_previous
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION settings_record('api_keys', 'id', '{secret_hash}');
CREATE TRIGGER record_delete AFTER DELETE ON auth_api_key_previous REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION settings_record('api_keys', 'id', '{secret_hash}');
CREATE TRIGGER b_keep BEFORE TRUNCATE ON auth_api_key_previous
    FOR EACH STATEMENT EXECUTE FUNCTION settings_refuse('it would leave no history; DELETE rows instead');
DROP FUNCTION settings_masked(jsonb, text[]);

-- Presets --------------------------------------------------------------------------------------------------

-- One member of a preset's filter: at most 64 texts, of the known states where states are meant.
CREATE FUNCTION settings_filter_member_ok(member text, list jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN member NOT IN ('state', 'tracker', 'extension', 'tags', 'name') OR jsonb_typeof(list) <> 'array' THEN false
        WHEN jsonb_array_length(list) > 64 THEN false
        ELSE NOT EXISTS (
            SELECT FROM jsonb_array_elements(list) e WHERE CASE
                WHEN jsonb_typeof(e) <> 'string' THEN true
                WHEN octet_length(e #>> '{}') NOT BETWEEN 1 AND 1024 THEN true
                WHEN (e #>> '{}') ~ '[\u0001-\u001f\u007f-\u009f]' THEN true
                WHEN member = 'state' THEN (e #>> '{}') NOT IN ('failed', 'stopped', 'checking', 'fetching_metadata',
                                                               'queued', 'downloading', 'seeding', 'completed')
                ELSE false
            END
        )
    END
$$;

CREATE FUNCTION settings_filter_ok(filter jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT SET search_path FROM CURRENT AS $$
    SELECT CASE WHEN jsonb_typeof(filter) <> 'object' THEN false ELSE NOT EXISTS (
        SELECT FROM jsonb_each(filter) m WHERE NOT settings_filter_member_ok(m.key, m.value)
    ) END
$$;

-- Until now any object was taken: what no list takes is dropped, and stays in the history.
DELETE FROM query_presets WHERE NOT settings_filter_ok(filter) OR sort NOT IN ('added_at:desc', 'added_at:asc');
UPDATE query_presets SET updated_at = now() WHERE NOT updated_at BETWEEN '1970-01-01Z' AND '9999-12-31Z';
UPDATE settings_secret SET updated_at = now() WHERE NOT updated_at BETWEEN '1970-01-01Z' AND '9999-12-31Z';
-- A constraint cannot be added while the rows above wait for their deferred triggers.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE query_presets
    DROP CONSTRAINT query_presets_filter_check,
    DROP CONSTRAINT query_presets_sort_check,
    ADD CONSTRAINT query_presets_filter_check CHECK (settings_filter_ok(filter)),
    ADD CONSTRAINT query_presets_sort_check CHECK (sort IN ('added_at:desc', 'added_at:asc')),
    ADD CHECK (updated_at BETWEEN '1970-01-01Z' AND '9999-12-31Z');
ALTER TABLE settings_secret ADD CHECK (updated_at BETWEEN '1970-01-01Z' AND '9999-12-31Z');
