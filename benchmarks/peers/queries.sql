-- name: count_procrastinate
-- What the database still has to do.
SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing');

-- name: count_pgqueuer
-- What the database still has to do.
SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked');

-- name: vacuum_all
-- As the floor does after filling.
VACUUM (ANALYZE);
