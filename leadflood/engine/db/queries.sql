-- name: find_database
-- the embedded server makes leadflood's own database once
SELECT 1 FROM pg_database WHERE datname = 'leadflood';

-- name: create_database!
-- named apart from postgres, so that a dump of it is whole
CREATE DATABASE leadflood;

-- name: drop_database!
-- a demo begins with nothing, whoever is still connected
DROP DATABASE IF EXISTS leadflood WITH (FORCE);

-- name: lock_migrations
-- one process migrates at a time; the lock ends with the session
SELECT pg_advisory_lock(:key::bigint);

-- name: set_session
-- what a session waits for, changed after it began
SELECT set_config(:name::text, :value::text, false);

-- name: limit_lock_waits
-- in milliseconds, until the transaction ends
SELECT set_config('lock_timeout', :value::text, true);

-- name: set_session_settings
-- Set up a session: by a statement, as poolers refuse or drop start-up parameters.
SELECT set_config(name, value, false)
FROM unnest(:names::text[], :values::text[]) AS wanted (name, value);

-- name: read_session_settings
-- What holds in the session, in the units of the server.
SELECT name, setting FROM pg_settings WHERE name = ANY (:names::text[]);

-- name: read_facts
-- what start-up and doctor judge; the timeline of a standby is that of its last checkpoint
SELECT
    current_setting('server_version_num')::int AS version_number,
    current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('fsync') = 'on' AS fsync,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
    CASE
        WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
        ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
    END AS timeline,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database_oid,
    pg_is_in_recovery() AS in_recovery;

-- name: read_session
-- a pooler between us and the server shows when these change between two statements
SELECT pg_backend_pid() AS pid, current_setting('leadflood.session', TRUE) AS mark;

-- name: find_revision
-- The migration the database stands at.
SELECT version_num FROM alembic_version;

-- name: analyze_grown_tables
-- Small tables are left alone: of them a plan is as good as another.
DO $$
DECLARE
    grown record;
BEGIN
    FOR grown IN
        SELECT schemaname, relname FROM pg_stat_user_tables
        WHERE schemaname = current_schema() AND n_mod_since_analyze > 1000
            AND n_mod_since_analyze > n_live_tup / 2
        ORDER BY relname
    LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) %I.%I', grown.schemaname, grown.relname);
    END LOOP;
END
$$;
