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

-- name: has_live_jobs
-- Whether a run still has anything to do.
SELECT EXISTS (SELECT FROM job WHERE run_id = ANY (:run_ids::uuid[]));

-- name: count_final
-- Leads of a run in their final state: failed or merged away; or scored and, if HIGH, with a message
-- that waits or cannot be, or an intent that ended.
SELECT (SELECT count(*) FROM enrichment WHERE run_id = ANY (:run_ids::uuid[]) AND state = 'FAILED')
       + (SELECT count(*) FROM discovery_record AS record JOIN lead ON lead.id = record.lead_id
          WHERE record.run_id = ANY (:run_ids::uuid[]) AND lead.merged_into IS NOT NULL)
       + count(*) FILTER (
           WHERE score.band <> 'HIGH'
              OR message.state IN ('waiting', 'needs_data', 'not_wanted', 'already_written')
              OR intent.state IN ('accepted', 'refused', 'unknown', 'cancelled')) AS final,
       count(*) FILTER (WHERE score.band = 'HIGH') AS high,
       count(intent.id) AS intended,
       count(*) FILTER (WHERE intent.state = 'accepted') AS accepted
FROM score_prediction AS score
LEFT JOIN message ON message.run_id = score.run_id AND message.lead_id = score.lead_id
LEFT JOIN intent ON intent.message_id = message.id
WHERE score.run_id = ANY (:run_ids::uuid[]);

-- name: count_providers
-- How many providers were asked for each lead of a run, at least; and the fewest values of a lead.
SELECT (SELECT min(asked) FROM (
            SELECT count(DISTINCT provider) AS asked FROM enrichment_record
            WHERE run_id = ANY (:run_ids::uuid[]) GROUP BY lead_id) AS each) AS providers,
       (SELECT min(held) FROM (
            SELECT count(*) AS held FROM field_value WHERE lead_id IS NOT NULL GROUP BY lead_id) AS each)
           AS provenance;

-- name: count_rows
-- Rows by table, exact.
SELECT 'lead' AS name, count(*) AS rows FROM lead
UNION ALL SELECT 'company', count(*) FROM company
UNION ALL SELECT 'identity', count(*) FROM identity
UNION ALL SELECT 'field_value', count(*) FROM field_value
UNION ALL SELECT 'discovery_record', count(*) FROM discovery_record
UNION ALL SELECT 'enrichment', count(*) FROM enrichment
UNION ALL SELECT 'enrichment_record', count(*) FROM enrichment_record
UNION ALL SELECT 'feature_snapshot', count(*) FROM feature_snapshot
UNION ALL SELECT 'score_prediction', count(*) FROM score_prediction
UNION ALL SELECT 'message', count(*) FROM message
UNION ALL SELECT 'message_fact', count(*) FROM message_fact
UNION ALL SELECT 'intent', count(*) FROM intent
UNION ALL SELECT 'provider_call', count(*) FROM provider_call
UNION ALL SELECT 'answer', count(*) FROM answer
UNION ALL SELECT 'event', count(*) FROM event
UNION ALL SELECT 'history', count(*) FROM history
UNION ALL SELECT 'dead_letter', count(*) FROM dead_letter
UNION ALL SELECT 'job', count(*) FROM job;

-- name: count_leads
-- What is there.
SELECT count(*) FROM lead;

-- name: count_lacking_leads
-- Leads that came in by the API without a run, an event, or a job, live or done.
SELECT count(*) FROM lead
WHERE source = 'api'
  AND NOT EXISTS (
    SELECT FROM event JOIN run ON run.id = event.run_id
    WHERE event.subject = lead.id AND event.type = 'leads.lead.created'
      AND (EXISTS (SELECT FROM job WHERE job.run_id = run.id) OR run.state = 'completed'));

-- name: count_unscored
-- Leads that nothing is known of yet.
SELECT count(*) FROM lead
WHERE NOT EXISTS (SELECT FROM score_prediction WHERE score_prediction.lead_id = lead.id);

-- name: list_lead_ids
-- All of them, for who asks for one after the other.
SELECT string_agg(id::text, E'\n') FROM lead;

-- name: vacuum_all
-- As autovacuum would, but not on somebody's time.
VACUUM (ANALYZE);
