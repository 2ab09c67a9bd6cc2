-- name: drop_bench
-- Each measurement has a database of its own: what the one before left must not be paid for.
DROP DATABASE IF EXISTS bench WITH (FORCE);

-- name: make_bench
-- Beside the server's own; in file-copy form it is made from what is on disk.
CREATE DATABASE bench;

-- name: make_checkpoint
-- What earlier measurements left to write is written now, not on somebody's time.
CHECKPOINT;

-- name: vacuum_jobs
-- As the floor does after filling.
VACUUM (ANALYZE) job;

-- name: count_jobs
-- What the database still has to do.
SELECT count(*) FROM job;

-- name: has_jobs
-- Whether the database still has anything to do.
SELECT EXISTS (SELECT FROM job);

-- name: count_history
-- What was done.
SELECT count(*) FROM history WHERE state = 3;

-- name: count_events
-- What was logged.
SELECT count(*) FROM event;

-- name: empty_queue
-- As the floor does between its chunks.
TRUNCATE job;

-- name: server_settings
-- What a reader of the figures must know.
SELECT name, setting
FROM pg_settings
WHERE name IN (
    'server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers',
    'max_wal_size', 'wal_level', 'autovacuum')
ORDER BY name;

-- name: count_commits
-- Transactions of a database; exact once its sessions have ended.
SELECT xact_commit FROM pg_stat_database WHERE datname = 'bench';

-- name: wal_position
-- In bytes since the beginning.
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint;

-- name: server_version
-- Keeps a session from being idle in its transaction for too long.
SELECT version();

-- name: row_counts
-- Rows by table, exact.
SELECT c.relname AS name,
    (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', c.relname), false, true, '')))[1]::text::bigint AS rows
FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
ORDER BY 1;
