-- name: claim_jobs
-- Take the next queued jobs of a stage in order, starting behind a known place.
UPDATE job SET state = 1, node_id = :node_id::bigint, claim = claim + 1
WHERE id = ANY (ARRAY (
    SELECT id FROM job
    WHERE stage = :stage::text AND state = 0
      AND (priority, turn, id) > (:after_priority::smallint, :after_turn::bigint, :after_id::uuid)
    ORDER BY priority, turn, id
    LIMIT :limit::int
    FOR UPDATE SKIP LOCKED))
RETURNING id, claim, run_id, turn, priority, attempts, losses, key, request_id, trace_parent,
          created_at, payload

-- name: claim_run_jobs
-- Take queued jobs of one run only: a command that works for itself.
UPDATE job SET state = 1, node_id = :node_id::bigint, claim = claim + 1
WHERE id = ANY (ARRAY (
    SELECT id FROM job
    WHERE stage = :stage::text AND state = 0 AND run_id = ANY (:run_ids::uuid[])
    ORDER BY priority, turn, id
    LIMIT :limit::int
    FOR UPDATE SKIP LOCKED))
RETURNING id, claim, run_id, turn, priority, attempts, losses, key, request_id, trace_parent,
          created_at, payload

-- name: claim_cancelled_jobs
-- Take the waiting jobs of cancelled runs, to discard them through their stage's commit.
UPDATE job SET state = 1, node_id = :node_id::bigint, claim = claim + 1, run_at = NULL
WHERE id = ANY (ARRAY (
    SELECT id FROM job
    WHERE run_id = ANY (:run_ids::uuid[]) AND state IN (0, 2) AND stage = ANY (:stages::text[])
    LIMIT :limit::int
    FOR UPDATE SKIP LOCKED))
RETURNING id, claim, run_id, turn, priority, attempts, losses, key, request_id, trace_parent,
          created_at, payload, stage

-- name: settle_jobs
-- Delete the claims still ours, keep their history. A node means claimed: `state = 1` would lure
-- the planner, whose numbers are old, from the primary key to the index of claims.
WITH gone AS (
    DELETE FROM job
    USING unnest(:ids::uuid[], :claims::bigint[], :states::smallint[], :codes::text[],
                 :attempts::smallint[]) AS ended (id, claim, state, code, attempts)
    WHERE job.id = ended.id AND job.claim = ended.claim AND coalesce(job.node_id, 0) <> 0
    RETURNING job.id, job.run_id, job.created_at, ended.state, ended.attempts, job.losses,
              job.stage, ended.code, job.again),
kept AS (
    INSERT INTO history
        (id, run_id, created_at, finished_at, state, attempts, losses, stage, error_code)
    SELECT id, run_id, created_at, :now::timestamptz, state, attempts, losses, stage, code
    FROM gone WHERE :keeps_history::boolean)
SELECT count(*) AS settled,
       array_agg(id) FILTER (WHERE again IS NOT NULL) AS again_ids,
       array_agg(again) FILTER (WHERE again IS NOT NULL) AS again_payloads
FROM gone

-- name: settle_completed
-- The common case of settle_jobs: every job of the batch completed.
WITH gone AS (
    DELETE FROM job
    USING unnest(:ids::uuid[], :claims::bigint[]) AS ended (id, claim)
    WHERE job.id = ended.id AND job.claim = ended.claim AND coalesce(job.node_id, 0) <> 0
    RETURNING job.id, job.run_id, job.created_at, job.attempts, job.losses, job.stage, job.again),
kept AS (
    INSERT INTO history (id, run_id, created_at, finished_at, state, attempts, losses, stage)
    SELECT id, run_id, created_at, :now::timestamptz, 3, attempts, losses, stage
    FROM gone WHERE :keeps_history::boolean)
SELECT count(*) AS settled,
       array_agg(id) FILTER (WHERE again IS NOT NULL) AS again_ids,
       array_agg(again) FILTER (WHERE again IS NOT NULL) AS again_payloads
FROM gone

-- name: list_held
-- Which of these claims are still ours: asked before a batch is repeated.
SELECT job.id FROM job
JOIN unnest(:ids::uuid[], :claims::bigint[]) AS held (id, claim)
  ON job.id = held.id AND job.claim = held.claim
WHERE coalesce(job.node_id, 0) <> 0

-- name: postpone_jobs
-- Put claims back until their time; attempts are counted by the caller.
UPDATE job
SET state = CASE WHEN later.run_at IS NULL THEN 0 ELSE 2 END, node_id = NULL,
    run_at = later.run_at, attempts = later.attempts, last_error = later.error
FROM unnest(:ids::uuid[], :claims::bigint[], :run_ats::timestamptz[], :attempts::smallint[],
            :errors::text[]) AS later (id, claim, run_at, attempts, error)
WHERE job.id = later.id AND job.claim = later.claim AND coalesce(job.node_id, 0) <> 0
RETURNING job.id

-- name: release_claims!
-- Return claims uncounted: unstarted at shutdown, or unknown to the node's memory.
UPDATE job SET state = 0, node_id = NULL
FROM unnest(:ids::uuid[], :claims::bigint[]) AS held (id, claim)
WHERE job.id = held.id AND job.claim = held.claim
  AND job.node_id = :node_id::bigint

-- name: list_claims
-- List the claims that the database holds in this node's name.
SELECT id, claim FROM job WHERE node_id = :node_id::bigint AND state = 1

-- name: insert_jobs
-- Insert jobs without a key: claimed already, queued, or to start later.
INSERT INTO job (id, run_id, created_at, run_at, turn, claim, node_id, state, priority, stage,
                 request_id, trace_parent, payload)
SELECT id, run_id, :now::timestamptz, run_at, turn, CASE WHEN state = 1 THEN 1 ELSE 0 END,
       CASE WHEN state = 1 THEN :node_id::bigint END, state, priority, :stage::text, request_id,
       trace_parent, payload
FROM unnest(:ids::uuid[], :run_ids::uuid[], :run_ats::timestamptz[], :turns::bigint[],
            :states::smallint[], :priorities::smallint[], :request_ids::text[],
            :trace_parents::text[], :payloads::text[])
    AS fresh (id, run_id, run_at, turn, state, priority, request_id, trace_parent, payload)

-- name: insert_plain_jobs
-- The common case of insert_jobs: one run or none, one priority, one state for the whole batch.
INSERT INTO job (id, run_id, created_at, turn, claim, node_id, state, priority, stage, payload)
SELECT id, :run_id::uuid, :now::timestamptz, turn, :state::smallint,
       CASE WHEN :state::smallint = 1 THEN :node_id::bigint END, :state::smallint,
       :priority::smallint, :stage::text, payload
FROM unnest(:ids::uuid[], :turns::bigint[], :payloads::text[]) AS fresh (id, turn, payload)

-- name: insert_keyed_jobs
-- Insert jobs with a key: one that waits is joined, one that runs is told to run again.
INSERT INTO job (id, run_id, created_at, run_at, turn, claim, node_id, state, priority, stage, key,
                 request_id, trace_parent, payload)
SELECT id, run_id, :now::timestamptz, run_at, turn, CASE WHEN state = 1 THEN 1 ELSE 0 END,
       CASE WHEN state = 1 THEN :node_id::bigint END, state, priority, :stage::text, key, request_id,
       trace_parent, payload
FROM unnest(:ids::uuid[], :run_ids::uuid[], :run_ats::timestamptz[], :turns::bigint[],
            :states::smallint[], :priorities::smallint[], :keys::text[], :request_ids::text[],
            :trace_parents::text[], :payloads::text[])
    AS fresh (id, run_id, run_at, turn, state, priority, key, request_id, trace_parent, payload)
ORDER BY key
ON CONFLICT (key) WHERE key IS NOT NULL DO UPDATE SET
    again = CASE WHEN job.state = 1 THEN excluded.payload ELSE job.again END,
    priority = LEAST(job.priority, excluded.priority),
    run_at = CASE WHEN job.state = 2 AND excluded.state = 2
                  THEN LEAST(job.run_at, excluded.run_at)
                  WHEN job.state = 2 THEN NULL ELSE job.run_at END,
    state = CASE WHEN job.state = 2 AND excluded.state <> 2 THEN 0 ELSE job.state END
RETURNING id, key, state

-- name: smallest_turn
-- The smallest turn of any queued job; null: none is queued.
SELECT min(first.turn)
FROM unnest(:stages::text[]) AS named (stage)
CROSS JOIN LATERAL (
    SELECT turn FROM job WHERE job.stage = named.stage AND state = 0
    ORDER BY priority, turn, id LIMIT 1) AS first

-- name: insert_events
-- Write what happened to the event log, inside the transaction that did it.
INSERT INTO event (era, id, at, version, subject, run_id, type, payload)
SELECT :era::int, id, :now::timestamptz, version, subject, run_id, type, payload
FROM unnest(:ids::uuid[], :versions::bigint[], :subjects::uuid[], :run_ids::uuid[], :types::text[],
            :payloads::text[]) AS happened (id, version, subject, run_id, type, payload)

-- name: insert_dead_letters
-- Store dead letters, each with the chain of its errors.
INSERT INTO dead_letter (id, run_id, stage, key, turn, priority, attempts, losses, payload,
                         error_code, error, chain, created_at, died_at)
SELECT id, run_id, stage, key, turn, priority, attempts, losses, payload, error_code, error, chain,
       created_at, :now::timestamptz
FROM unnest(:ids::uuid[], :run_ids::uuid[], :stages::text[], :keys::text[], :turns::bigint[],
            :priorities::smallint[], :attempts::smallint[], :losses::smallint[], :payloads::text[],
            :error_codes::text[], :errors::text[], :chains::text[], :created_ats::timestamptz[])
    AS dead (id, run_id, stage, key, turn, priority, attempts, losses, payload, error_code, error,
             chain, created_at)
ON CONFLICT (id) DO NOTHING

-- name: wake_scheduled
-- Queue the due jobs, oldest first, a bounded number at once.
UPDATE job SET state = 0, run_at = NULL
WHERE id = ANY (ARRAY (
    SELECT id FROM job WHERE state = 2 AND run_at <= :now::timestamptz
    ORDER BY run_at LIMIT :limit::int FOR UPDATE SKIP LOCKED))
RETURNING stage

-- name: release_postponed
-- Jobs that waited for money or allowance which is there now, a bounded number at once.
UPDATE job SET state = 0, run_at = NULL
WHERE id = ANY (ARRAY (
    SELECT id FROM job
    WHERE state = 2 AND run_at > :now::timestamptz
      AND split_part(last_error, ':', 1) = ANY (:codes::text[])
    LIMIT :limit::int FOR UPDATE SKIP LOCKED))
RETURNING stage

-- name: next_scheduled_at
-- When the next timer is due.
SELECT min(run_at) FROM job WHERE state = 2

-- name: rescue_claims
-- Take back claims whose node is no longer a row; often lost ones come back later.
UPDATE job
SET node_id = NULL, losses = losses + 1,
    state = CASE WHEN losses + 1 >= :patience::int THEN 2 ELSE 0 END,
    run_at = CASE WHEN losses + 1 >= :patience::int
        THEN :now::timestamptz + make_interval(secs => LEAST(
            3600, :backoff_seconds::float8 * power(2, LEAST(losses + 1 - :patience::int, 20)))) END
WHERE id = ANY (ARRAY (
    SELECT id FROM job
    WHERE state = 1 AND NOT EXISTS (SELECT FROM node WHERE node.id = job.node_id)
    LIMIT :limit::int FOR UPDATE SKIP LOCKED))
RETURNING stage, losses

-- name: list_crash_loops
-- Jobs that were lost again and again: a person should look.
SELECT id, stage, losses, run_at, run_id FROM job WHERE losses > 0 AND losses >= :patience::int
ORDER BY losses DESC, id DESC LIMIT :limit::int

-- name: find_job
-- A job wherever it is now.
SELECT id, stage, run_id, state, attempts, losses, created_at, NULL::timestamptz AS finished_at,
       last_error AS error FROM job WHERE id = :id::uuid
UNION ALL
SELECT history.id, history.stage, history.run_id, history.state, history.attempts, history.losses,
       history.created_at, history.finished_at, COALESCE(dead_letter.error, history.error_code)
FROM history LEFT JOIN dead_letter USING (id) WHERE history.id = :id::uuid
LIMIT 1

-- name: find_job_key
-- The key of a live or dead job, which ends with what it is about.
SELECT key FROM job WHERE id = :id::uuid
UNION ALL SELECT key FROM dead_letter WHERE id = :id::uuid
LIMIT 1

-- name: list_recent_jobs
-- Jobs newest first, live and settled ones merged by id; filters see a bounded stretch only.
SELECT id, stage, run_id, state, attempts, losses, created_at, finished_at, error
FROM (
    SELECT * FROM (
        (SELECT id, stage, run_id, state, attempts, losses, created_at,
                NULL::timestamptz AS finished_at, last_error AS error
         FROM job WHERE id < :before::uuid AND id >= :oldest::uuid AND :with_live::boolean
         ORDER BY id DESC LIMIT :stretch::int)
        UNION ALL
        (SELECT id, stage, run_id, state, attempts, losses, created_at, finished_at,
                error_code AS error
         FROM history WHERE id < :before::uuid AND id >= :oldest::uuid AND :with_settled::boolean
         ORDER BY id DESC LIMIT :stretch::int)) AS either
    ORDER BY id DESC LIMIT :stretch::int) AS recent
WHERE (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
  AND (:stage::text IS NULL OR stage = :stage::text)
  AND (:states::smallint[] IS NULL OR state = ANY (:states::smallint[]))
  AND (:owner::text IS NULL OR EXISTS (
      SELECT FROM run WHERE run.id = recent.run_id AND run.opened_by = :owner::text))
ORDER BY id DESC LIMIT :limit::int

-- name: find_stretch_end
-- Where a stretch of jobs ends and how many it holds: fewer than asked for are all there are.
SELECT count(*) AS count, (array_agg(id ORDER BY id))[1] AS id FROM (
    SELECT * FROM (
        (SELECT id FROM job WHERE id < :before::uuid AND id >= :oldest::uuid AND :with_live::boolean
         ORDER BY id DESC LIMIT :stretch::int)
        UNION ALL
        (SELECT id FROM history
         WHERE id < :before::uuid AND id >= :oldest::uuid AND :with_settled::boolean
         ORDER BY id DESC LIMIT :stretch::int)) AS either
    ORDER BY id DESC LIMIT :stretch::int) AS recent

-- name: list_running_jobs
-- Jobs at work, newest first: as many as the nodes have workers.
SELECT id, stage, run_id, state, attempts, losses, created_at,
       NULL::timestamptz AS finished_at, last_error AS error
FROM job WHERE state = 1 AND id < :before::uuid
  AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
  AND (:stage::text IS NULL OR stage = :stage::text)
  AND (:owner::text IS NULL OR EXISTS (
      SELECT FROM run WHERE run.id = job.run_id AND run.opened_by = :owner::text))
ORDER BY id DESC LIMIT :limit::int

-- name: list_ended_badly
-- Failed and cancelled jobs, newest first, with the dead whose history is pruned or was not kept.
SELECT id, stage, run_id, state, attempts, losses, created_at, finished_at, error
FROM (
    (SELECT history.id, history.stage, history.run_id, history.state, history.attempts,
            history.losses, history.created_at, history.finished_at, history.error_code AS error
     FROM history
     WHERE state <> 3 AND state = ANY (:states::smallint[]) AND id < :before::uuid
       AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
       AND (:stage::text IS NULL OR stage = :stage::text)
     ORDER BY id DESC LIMIT :limit::int)
    UNION ALL
    (SELECT id, stage, run_id, 4::smallint, attempts, losses, created_at, died_at, error
     FROM dead_letter
     WHERE 4 = ANY (:states::smallint[]) AND id < :before::uuid
       AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
       AND (:stage::text IS NULL OR stage = :stage::text)
       AND NOT EXISTS (SELECT FROM history WHERE history.id = dead_letter.id)
     ORDER BY id DESC LIMIT :limit::int)) AS ended
WHERE (:owner::text IS NULL OR EXISTS (
      SELECT FROM run WHERE run.id = ended.run_id AND run.opened_by = :owner::text))
ORDER BY id DESC LIMIT :limit::int

-- name: list_jobs_about
-- Live jobs about a thing, by their keys, and the dead ones, newest first.
SELECT id, stage, run_id, state, attempts, losses, created_at, finished_at, error
FROM (
    SELECT id, stage, run_id, state, attempts, losses, created_at,
           NULL::timestamptz AS finished_at, last_error AS error
    FROM job WHERE key = ANY (ARRAY (
        SELECT stage.name || ':' || run.id || ':' || :subject::text
        FROM unnest(:stages::text[]) AS stage (name)
        CROSS JOIN (SELECT DISTINCT run_id AS id FROM event
                    WHERE subject = :subject::text::uuid AND run_id IS NOT NULL) AS run))
    UNION ALL
    SELECT id, stage, run_id, 4::smallint, attempts, losses, created_at, died_at, error
    FROM dead_letter WHERE key LIKE '%:' || :subject::text) AS about
WHERE id < :before::uuid
  AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
  AND (:stage::text IS NULL OR stage = :stage::text)
  AND (:states::smallint[] IS NULL OR state = ANY (:states::smallint[]))
  AND (:owner::text IS NULL OR EXISTS (
      SELECT FROM run WHERE run.id = about.run_id AND (run.is_shared OR run.opened_by = :owner::text)))
ORDER BY id DESC LIMIT :limit::int

-- name: find_dead_errors
-- Find the errors of the dead among these jobs, in words.
SELECT id, error FROM dead_letter WHERE id = ANY (:ids::uuid[])

-- name: list_runs
-- Runs, newest first, behind a place.
SELECT id, kind, title, state, sends, providers, cap_micros, lead_cap_micros, created_at, ended_at,
       cancelled_at, opened_by, is_shared, repeats
FROM run WHERE id < :before::uuid AND (:state::text IS NULL OR state = :state::text)
  AND (:kind::text IS NULL OR kind = :kind::text)
  AND (:owner::text IS NULL OR is_shared OR opened_by = :owner::text)
ORDER BY id DESC LIMIT :limit::int

-- name: list_kind_runs
-- Runs of a rarer kind, newest first, behind a place.
SELECT id, kind, title, state, sends, providers, cap_micros, lead_cap_micros, created_at, ended_at,
       cancelled_at, opened_by, is_shared, repeats
FROM run WHERE kind = :kind::text AND kind <> 'lead' AND id < :before::uuid
  AND (:state::text IS NULL OR state = :state::text)
  AND (:owner::text IS NULL OR is_shared OR opened_by = :owner::text)
ORDER BY id DESC LIMIT :limit::int

-- name: list_running_runs
-- Runs that go on, newest first, behind a place.
SELECT id, kind, title, state, sends, providers, cap_micros, lead_cap_micros, created_at, ended_at,
       cancelled_at, opened_by, is_shared, repeats
FROM run WHERE state = 'running' AND id < :before::uuid
  AND (:kind::text IS NULL OR kind = :kind::text)
  AND (:owner::text IS NULL OR is_shared OR opened_by = :owner::text)
ORDER BY id DESC LIMIT :limit::int

-- name: count_jobs
-- Depth and age per stage.
SELECT stage, count(*) FILTER (WHERE state = 0) AS queued,
       count(*) FILTER (WHERE state = 1) AS running,
       count(*) FILTER (WHERE state = 2) AS scheduled,
       min(created_at) FILTER (WHERE state = 0) AS oldest_at
FROM job GROUP BY stage ORDER BY stage

-- name: count_in_flight
-- Whether a stage that takes no more is empty: claims only, on their own index.
SELECT count(*) FROM job WHERE state = 1 AND stage = :stage::text

-- name: prune_history
-- Delete settled jobs past their retention, a few thousand at once, by id.
DELETE FROM history WHERE id = ANY (ARRAY (
    SELECT id FROM history WHERE id < :before::uuid ORDER BY id LIMIT :limit::int))

-- name: prune_events
-- Delete what is past its retention in a stretch of the log, and write down how far it is pruned.
-- Events of a clock that ran ahead are passed over; an ordinary young one says that this is the end.
WITH stretch AS (
    SELECT era, xid, id, at FROM event
    WHERE (era, xid, id) > (:era::int, :xid::text::xid8, :id::uuid)
    ORDER BY era, xid, id LIMIT :limit::int),
gone AS (
    DELETE FROM event USING stretch
    WHERE event.era = stretch.era AND event.xid = stretch.xid AND event.id = stretch.id
      AND stretch.at < :before::timestamptz
    RETURNING event.era, event.xid, event.id),
newest AS (SELECT era, xid, id FROM gone ORDER BY era DESC, xid DESC, id DESC LIMIT 1),
noted AS (
    UPDATE installation SET pruned_era = newest.era, pruned_xid = newest.xid, pruned_id = newest.id
    FROM newest
    WHERE (pruned_era, pruned_xid, pruned_id) < (newest.era, newest.xid, newest.id)),
ending AS (SELECT era, xid, id FROM stretch ORDER BY era DESC, xid DESC, id DESC LIMIT 1)
SELECT ending.era, ending.xid::text AS last_xid, ending.id,
       (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM stretch) AS looked_at,
       EXISTS (SELECT FROM stretch WHERE at BETWEEN :before::timestamptz AND :now::timestamptz)
           AS has_young
FROM ending

-- name: prune_runs
-- Delete runs of single things that ended and were opened long ago, oldest first, by id.
DELETE FROM run WHERE id = ANY (ARRAY (
    SELECT id FROM run
    WHERE kind = 'lead' AND state <> 'running' AND NOT is_sweeping AND id < :before::uuid
    ORDER BY id LIMIT :limit::int FOR UPDATE SKIP LOCKED))

-- name: prune_dead_letters
-- Delete dead letters past their retention, oldest first.
DELETE FROM dead_letter WHERE id = ANY (ARRAY (
    SELECT id FROM dead_letter WHERE died_at < :before::timestamptz
    ORDER BY died_at LIMIT :limit::int FOR UPDATE SKIP LOCKED))

-- name: insert_run
-- Open a run: what may be done for it is written here. One that gets no job ends at once.
WITH opened AS (
    INSERT INTO run (id, kind, title, sends, providers, cap_micros, lead_cap_micros, key,
                     created_at, is_loading, opened_by, is_shared, repeats)
    VALUES (:id::uuid, :kind::text, :title::text, :sends::text, :providers::text[],
            :cap_micros::bigint, :lead_cap_micros::bigint, :key::text, :now::timestamptz,
            :is_loading::boolean, :opened_by::text, :is_shared::boolean, :repeats::boolean)
    ON CONFLICT (key) DO NOTHING
    RETURNING id),
checked AS (INSERT INTO run_check (run_id) SELECT id FROM opened)
SELECT id FROM opened

-- name: insert_runs
-- Open runs of one kind that have no key.
WITH opened AS (
    INSERT INTO run (id, kind, title, sends, providers, cap_micros, lead_cap_micros, opened_by,
                     created_at)
    SELECT id, :kind::text, :title::text, sends, string_to_array(providers, chr(31)), cap_micros,
           lead_cap_micros, opened_by, :now::timestamptz
    FROM unnest(:ids::uuid[], :sends::text[], :providers::text[], :caps_micros::bigint[],
                :lead_caps_micros::bigint[], :opened_bys::text[])
        AS new (id, sends, providers, cap_micros, lead_cap_micros, opened_by)
    RETURNING id)
INSERT INTO run_check (run_id) SELECT id FROM opened

-- name: find_run_by_key
-- The run of a key: the same input, ICP and options resume it.
SELECT id FROM run WHERE key = :key::text

-- name: find_runs
-- Find runs, with what they allow.
SELECT id, kind, title, state, sends, providers, cap_micros, lead_cap_micros, created_at, ended_at,
       cancelled_at, opened_by, is_shared, repeats
FROM run WHERE id = ANY (:ids::uuid[])

-- name: cancel_run
-- Mark a run; the sweeper discards what waits. One that has ended is marked while something of it
-- can go on: dead letters, or what the caller knows of.
UPDATE run SET state = 'cancelled', cancelled_at = :now::timestamptz, cancelled_by = :by_whom::text,
               ended_at = :now::timestamptz, is_sweeping = true
WHERE id = :id::uuid AND (state = 'running' OR (state = 'completed' AND (
    :can_go_on::bool OR EXISTS (SELECT FROM dead_letter WHERE dead_letter.run_id = run.id))))
RETURNING id

-- name: change_caps
-- Caps hold from the next purchase on: each reads its run anew.
UPDATE run SET cap_micros = :cap_micros::bigint, lead_cap_micros = :lead_cap_micros::bigint
WHERE id = :id::uuid AND cancelled_at IS NULL
RETURNING id

-- name: hold_runs
-- Keep runs from ending while jobs are put into them; one that had ended goes on, one that was
-- cancelled is swept again.
WITH reopened AS (
    UPDATE run SET state = CASE WHEN state = 'completed' THEN 'running' ELSE state END,
                   ended_at = CASE WHEN state = 'completed' THEN NULL ELSE ended_at END,
                   is_sweeping = state = 'cancelled'
    WHERE id = ANY (:ids::uuid[])
      AND (state = 'completed' OR (state = 'cancelled' AND NOT is_sweeping))
    RETURNING id, state, kind, opened_by),
held AS (
    SELECT id, state, kind, opened_by FROM run
    WHERE id = ANY (:ids::uuid[]) AND id NOT IN (SELECT id FROM reopened) ORDER BY id FOR SHARE)
SELECT id, state, kind, opened_by FROM reopened
UNION ALL SELECT id, state, kind, opened_by FROM held

-- name: list_sweeping_runs
-- Cancelled runs whose jobs are not all gone.
SELECT id FROM run WHERE is_sweeping ORDER BY id LIMIT :limit::int

-- name: lock_swept_runs
-- Cancelled runs that seem to have no job left, but for those that somebody puts jobs into.
SELECT id FROM run
WHERE id = ANY (:ids::uuid[]) AND is_sweeping
  AND NOT EXISTS (SELECT FROM job WHERE job.run_id = run.id)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: end_sweeping
-- End the sweeping of locked runs that have no job.
UPDATE run SET is_sweeping = false
WHERE id = ANY (:ids::uuid[]) AND NOT EXISTS (SELECT FROM job WHERE job.run_id = run.id)

-- name: insert_run_checks
-- These runs may have ended: their jobs settled, and nothing followed.
INSERT INTO run_check (run_id) SELECT unnest(:run_ids::uuid[])

-- name: take_run_checks
-- Which runs may have ended, a bounded number at once.
DELETE FROM run_check WHERE id = ANY (ARRAY (
    SELECT id FROM run_check ORDER BY id LIMIT :limit::int FOR UPDATE SKIP LOCKED))
RETURNING run_id

-- name: lock_ending_runs
-- Open runs that nobody is filling, but for those that somebody puts jobs into at this moment.
SELECT id FROM run WHERE id = ANY (:ids::uuid[]) AND state = 'running' AND NOT is_loading
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: check_again
-- Open runs that were locked by another are looked at again.
INSERT INTO run_check (run_id)
SELECT id FROM run WHERE id = ANY (:ids::uuid[]) AND state = 'running' AND NOT is_loading

-- name: finish_loading
-- All that the run is to do is in: it ends when no live job carries it.
WITH filled AS (UPDATE run SET is_loading = false WHERE id = :id::uuid RETURNING id)
INSERT INTO run_check (run_id) SELECT id FROM filled

-- name: complete_runs
-- End the locked runs that no live job carries.
UPDATE run SET state = 'completed', ended_at = :now::timestamptz
WHERE id = ANY (:ids::uuid[]) AND NOT EXISTS (SELECT FROM job WHERE job.run_id = run.id)
RETURNING id

-- name: count_run_jobs
-- How far a run is, by stage.
SELECT stage, count(*) AS live FROM job WHERE run_id = :run_id::uuid GROUP BY stage ORDER BY stage

-- name: claim_tick
-- Take a periodic tick once among all nodes; one that only a wrong clock has taken does not count.
UPDATE periodic SET last_tick_at = :tick::timestamptz
WHERE name = :name::text
  AND (last_tick_at < :tick::timestamptz OR last_tick_at > :latest::timestamptz)
RETURNING name

-- name: register_periodic!
-- Insert the row of a periodic job where it is missing.
INSERT INTO periodic (name, last_tick_at) VALUES (:name::text, :now::timestamptz)
ON CONFLICT (name) DO NOTHING

-- name: insert_node
-- Enter a node.
INSERT INTO node (name, lock_path, started_at, last_beat_at)
VALUES (:name::text, :lock_path::text, :now::timestamptz, clock_timestamp())
RETURNING id

-- name: raise_heartbeat
-- Raise the node's counter and that of all; no row back means it was evicted. The position is that
-- of a record before this commit, so what is on the disk afterwards is never behind it.
WITH beaten AS (
    UPDATE node SET beat = beat + 1, last_beat_at = clock_timestamp() WHERE id = :id::bigint
    RETURNING id),
counted AS (
    UPDATE installation SET beat = beat + 1 WHERE EXISTS (SELECT FROM beaten)
    RETURNING id, era, beat, system_identifier, timeline)
SELECT counted.id AS installation_id, counted.era, counted.beat AS installation_beat,
       counted.system_identifier, counted.timeline,
       (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal_bytes,
       COALESCE(newest.era, 0) AS newest_era, COALESCE(newest.xid::text, '0') AS newest_xid,
       COALESCE(newest.id, '00000000-0000-0000-0000-000000000000') AS newest_id
FROM counted
LEFT JOIN LATERAL (
    SELECT era, xid, id FROM event ORDER BY era DESC, xid DESC, id DESC LIMIT 1) AS newest ON true

-- name: list_nodes
-- All nodes with their counters.
SELECT id, beat, name, lock_path, started_at, last_beat_at FROM node ORDER BY id

-- name: evict_node
-- Delete a dead node whose counter still stands; one that stopped within a transaction is locked
-- until that ends, and waiting for it would keep our own beat from going on.
WITH dead AS (
    SELECT id FROM node WHERE id = :id::bigint AND beat = :beat::bigint FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM node USING dead WHERE node.id = dead.id RETURNING node.last_beat_at)
UPDATE installation SET last_beat_at = GREATEST(installation.last_beat_at, gone.last_beat_at)
FROM gone RETURNING gone.last_beat_at

-- name: leave_node
-- Delete our own row at the end; keep the last beat.
WITH gone AS (DELETE FROM node WHERE id = :id::bigint RETURNING last_beat_at)
UPDATE installation SET last_beat_at = GREATEST(installation.last_beat_at, clock_timestamp())
FROM gone RETURNING true AS left_now

-- name: find_installation
-- Read the identity of this database, as written when it was new and as it is now, and how far it
-- is. A promoted server writes its timeline to the checkpoint late, to its log of writes at once.
SELECT installation.id, clock_kind, mode, installation.era, beat, system_identifier, timeline,
       database_oid,
       GREATEST(last_beat_at, (SELECT max(last_beat_at) FROM node)) AS last_beat_at, restored_at,
       pruned_era, pruned_xid::text AS pruned_xid, pruned_id,
       clock_timestamp() AS database_now,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier_now,
       CASE WHEN pg_is_in_recovery()
            THEN (SELECT timeline_id::bigint FROM pg_control_checkpoint())
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
       END AS timeline_now,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
           AS database_oid_now,
       CASE WHEN pg_is_in_recovery() THEN 0
            ELSE (pg_current_wal_insert_lsn() - '0/0')::bigint END AS wal_bytes,
       COALESCE(newest.era, 0) AS newest_era, COALESCE(newest.xid::text, '0') AS newest_xid,
       COALESCE(newest.id, '00000000-0000-0000-0000-000000000000') AS newest_id
FROM installation
LEFT JOIN LATERAL (
    SELECT era, xid, id FROM event ORDER BY era DESC, xid DESC, id DESC LIMIT 1) AS newest ON true

-- name: insert_installation
-- Write who this database is, once.
INSERT INTO installation (clock_kind, mode, system_identifier, timeline, database_oid, created_at)
SELECT :clock_kind::text, :mode::text, (SELECT system_identifier::text FROM pg_control_system()),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), :now::timestamptz
ON CONFLICT (only_row) DO NOTHING
RETURNING true AS is_new

-- name: adopt_installation
-- Accept the database as it is now, once for all who see it: a restore raises the era, and what
-- was due to be sent before this moment is doubtful.
UPDATE installation SET
    era = :era::int,
    system_identifier = (SELECT system_identifier::text FROM pg_control_system()),
    timeline = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
    database_oid = (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
    restored_at = clock_timestamp()
WHERE era = :seen_era::int
RETURNING era

-- name: take_restore
-- When the last restore was noticed, told once.
UPDATE installation SET restored_at = NULL
FROM (SELECT restored_at FROM installation WHERE restored_at IS NOT NULL FOR UPDATE) AS noticed
RETURNING noticed.restored_at

-- name: find_switches
-- All switches: paused stages, held sending, providers that are off.
SELECT name, state, by_whom, reason, changed_at FROM switch ORDER BY name

-- name: write_switch!
-- Set a switch, with who and why.
INSERT INTO switch (name, state, by_whom, reason, changed_at)
VALUES (:name::text, :state::text, :by_whom::text, :reason::text, :now::timestamptz)
ON CONFLICT (name) DO UPDATE SET state = excluded.state, by_whom = excluded.by_whom,
    reason = excluded.reason, changed_at = excluded.changed_at

-- name: drop_switch
-- Reset a switch to its default.
DELETE FROM switch WHERE name = :name::text RETURNING name

-- name: list_dead_letters
-- Dead letters, newest first, by filter.
SELECT id, run_id, stage, key, attempts, losses, payload, error_code, error, chain, created_at,
       died_at
FROM dead_letter
WHERE (:stage::text IS NULL OR stage = :stage::text)
  AND (:error_code::text IS NULL OR error_code = :error_code::text)
  AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
  AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: find_dead_letter
-- One dead letter, whole.
SELECT id, run_id, stage, key, attempts, losses, payload, error_code, error, chain, created_at,
       died_at FROM dead_letter WHERE id = :id::uuid

-- name: list_dead_letter_ids
-- Which dead letters a filter means, newest first.
SELECT id FROM dead_letter
WHERE (:stage::text IS NULL OR stage = :stage::text)
  AND (:error_code::text IS NULL OR error_code = :error_code::text)
  AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
  AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: find_payloads
-- Read the payloads of dead letters, of a stage or of all.
SELECT id, payload FROM dead_letter
WHERE id = ANY (:ids::uuid[]) AND (:stage::text IS NULL OR stage = :stage::text)

-- name: lock_dead_letters
-- Dead letters about to be replayed; nobody else replays them meanwhile.
SELECT id, run_id, stage, key, turn, priority, payload, error_code FROM dead_letter
WHERE id = ANY (:ids::uuid[]) ORDER BY id FOR UPDATE

-- name: insert_replayed_jobs
-- The work of dead letters as new jobs (their old ids stand in history); a live key is left alone.
INSERT INTO job (id, run_id, created_at, turn, state, priority, stage, key, payload)
SELECT id, run_id, :now::timestamptz, turn, 0, priority, stage, key, payload
FROM unnest(:ids::uuid[], :run_ids::uuid[], :turns::bigint[], :priorities::smallint[],
            :stages::text[], :keys::text[], :payloads::text[])
    AS again (id, run_id, turn, priority, stage, key, payload)
ORDER BY key, id
ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
RETURNING id

-- name: insert_asked_again
-- What was asked for while a job ran that was buried later, as a new job of its key.
INSERT INTO job (id, run_id, created_at, turn, state, priority, stage, key, payload)
SELECT :id::uuid, run_id, :now::timestamptz, turn, 0, priority, stage, key, :payload::text
FROM dead_letter WHERE id = :buried::uuid

-- name: count_dead_letters
-- How many dead letters, by stage and code.
SELECT stage, error_code, count(*) AS letters, max(died_at) AS newest_at
FROM dead_letter GROUP BY stage, error_code ORDER BY letters DESC, stage, error_code

-- name: list_open_runs
-- The runs that go on, newest first.
SELECT id, kind, title, state, sends, providers, cap_micros, lead_cap_micros, created_at, ended_at,
       cancelled_at, opened_by, is_shared, repeats
FROM run WHERE state = 'running' ORDER BY id DESC LIMIT :limit::int

-- name: list_live_keys
-- Which of these keys belong to a live job.
SELECT key FROM job WHERE key = ANY (:keys::text[])

-- name: drop_dead_letters
-- Forget dead letters for good.
DELETE FROM dead_letter WHERE id = ANY (:ids::uuid[]) RETURNING id

-- name: bury_job
-- A person gives a waiting job up: it becomes a dead letter.
WITH gone AS (
    DELETE FROM job WHERE id = :id::uuid AND state IN (0, 2)
    RETURNING id, run_id, stage, key, turn, priority, attempts, losses, payload, created_at,
              last_error, again),
kept AS (
    INSERT INTO history
        (id, run_id, created_at, finished_at, state, attempts, losses, stage, error_code)
    SELECT id, run_id, created_at, :now::timestamptz, 4, attempts, losses, stage, 'engine.buried'
    FROM gone),
checked AS (INSERT INTO run_check (run_id) SELECT run_id FROM gone WHERE run_id IS NOT NULL)
INSERT INTO dead_letter (id, run_id, stage, key, turn, priority, attempts, losses, payload,
                         error_code, error, chain, created_at, died_at)
SELECT id, run_id, stage, key, turn, priority, attempts, losses, payload, 'engine.buried',
       'buried by ' || :by_whom::text, COALESCE(last_error, ''), created_at, :now::timestamptz
FROM gone RETURNING (SELECT again FROM gone) AS again

-- name: notify
-- Notify the other nodes that a stage has work (or a switch changed).
SELECT pg_notify('leadflood', :payload::text)

-- name: find_era
-- The era that orders the event log.
SELECT era FROM installation
