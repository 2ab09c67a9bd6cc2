-- name: find_revision
-- The migration the database stands at.
SELECT version_num FROM alembic_version

-- name: read_events
-- Events behind a place, in an order behind which nothing can appear any more.
SELECT era, xid::text AS xid, id, at, version, subject, run_id, type, payload FROM event
WHERE (era, xid, id) > (:era::int, :xid::text::xid8, :id::uuid)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY era, xid, id LIMIT :limit::int

-- name: find_newest_place
-- Where the log ends now: a reader that starts here sees only what is new.
SELECT installation.era,
       (pg_snapshot_xmin(pg_current_snapshot())::text::numeric - 1)::text AS xid
FROM installation

-- name: find_event_at
-- When the event of a place happened; none: it was pruned, or no event has this place.
SELECT at FROM event WHERE (era, xid, id) = (:era::int, :xid::text::xid8, :id::uuid)

-- name: read_feed_lag
-- How long the oldest open transaction holds the feed back, in seconds.
SELECT COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()
