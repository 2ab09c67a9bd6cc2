-- name: read_events
-- Events behind a cursor, in an order behind which nothing can appear. The columns are qualified:
-- a bare `xid` would be the text of the answer, and 100 would stand before 99.
SELECT era, xid::text AS xid, id, at, version, subject, run_id, type, payload FROM event
WHERE (era, xid, id) > (:era::int, :xid::text::xid8, :id::uuid)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY event.era, event.xid, event.id LIMIT :limit::int

-- name: find_newest_place
-- Where the log ends now: a reader that starts here sees only what is new.
SELECT installation.era,
       (pg_snapshot_xmin(pg_current_snapshot())::text::numeric - 1)::text AS xid
FROM installation

-- name: find_pruned_behind
-- Whether the log is pruned further than a place.
SELECT pruned_era FROM installation
WHERE (pruned_era, pruned_xid, pruned_id) > (:era::int, :xid::text::xid8, :id::uuid)

-- name: read_feed_lag
-- How long the oldest open transaction holds the feed back, in seconds.
SELECT COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()

-- name: count_queued
-- Queued jobs by stage, each counted up to a bound on the index of claims.
SELECT named.stage, count(first.created_at)::int AS queued, min(first.created_at) AS oldest_at
FROM unnest(:stages::text[]) AS named (stage)
LEFT JOIN LATERAL (
    SELECT created_at FROM job
    WHERE job.stage = named.stage AND state = 0
    ORDER BY priority, turn, id LIMIT :most::int
) AS first ON true
GROUP BY named.stage
ORDER BY named.stage

-- name: count_claimed_and_scheduled
-- Claims, which are few, and what is to start next, up to a bound.
SELECT stage, count(*) FILTER (WHERE state = 1)::int AS running,
       count(*) FILTER (WHERE state = 2)::int AS scheduled
FROM (
    (SELECT stage, state FROM job WHERE state = 1 LIMIT :most::int)
    UNION ALL
    (SELECT stage, state FROM job WHERE state = 2 ORDER BY run_at LIMIT :most::int)
) AS bounded
GROUP BY stage

-- name: estimate_queued
-- How many jobs are queued in all, as the planner would guess: rows a page times pages now.
SELECT COALESCE(
    CASE WHEN relpages > 0 AND reltuples >= 0
        THEN reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::int)
    END, 0)::bigint
FROM pg_class WHERE oid = 'job_queued'::regclass

-- name: list_tables
-- Every table with what the server knows of it; nothing is read of the tables themselves.
SELECT class.relname AS name,
       CASE WHEN class.reltuples >= 0 THEN class.reltuples::bigint END AS rows_estimate,
       pg_table_size(class.oid) AS bytes, pg_indexes_size(class.oid) AS index_bytes,
       COALESCE(used.n_dead_tup, 0) AS dead_rows,
       GREATEST(used.last_vacuum, used.last_autovacuum) AS last_vacuum_at,
       GREATEST(used.last_analyze, used.last_autoanalyze) AS last_analyze_at
FROM pg_class AS class
LEFT JOIN pg_stat_user_tables AS used ON used.relid = class.oid
WHERE class.relkind = 'r' AND class.relnamespace = current_schema()::regnamespace
ORDER BY pg_total_relation_size(class.oid) DESC, class.relname

-- name: find_database_bytes
-- The database on its disk.
SELECT pg_database_size(current_database())

-- name: count_connections
-- Count the connections to this database, and the most that the server takes.
SELECT count(*) FILTER (WHERE state = 'active')::int AS active,
       count(*) FILTER (WHERE state = 'idle')::int AS idle,
       count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS in_transaction,
       current_setting('max_connections')::int AS most
FROM pg_stat_activity WHERE datname = current_database()

-- name: find_event_ages
-- Both ends of the log of events, by its own order.
SELECT (SELECT at FROM event ORDER BY era, xid, id LIMIT 1) AS oldest_at,
       (SELECT at FROM event ORDER BY era DESC, xid DESC, id DESC LIMIT 1) AS newest_at
