-- name: count_funnel
-- All numbers of a run in one snapshot.
WITH scored AS (
    SELECT DISTINCT ON (lead_id) lead_id, score_prediction.band
    FROM score_prediction JOIN lead ON lead.id = lead_id
    WHERE run_id = :run_id::uuid AND lead.merged_into IS NULL
    ORDER BY lead_id, source_version DESC, score_prediction.id DESC)
SELECT
    GREATEST(
        COALESCE((SELECT lead_count FROM discovery_run WHERE id = :run_id::uuid), 0),
        (SELECT count(*) FROM enrichment WHERE run_id = :run_id::uuid)
        + (SELECT count(*) FROM job WHERE run_id = :run_id::uuid AND stage = 'enrichment.run')
    ) AS found,
    (SELECT count(DISTINCT lead.id) FROM discovery_record JOIN lead ON lead.id = lead_id
     WHERE run_id = :run_id::uuid AND lead.merged_into IS NOT NULL) AS merged,
    (SELECT count(*) FROM enrichment JOIN lead ON lead.id = lead_id
     WHERE run_id = :run_id::uuid AND state = 'COMPLETED' AND lead.merged_into IS NULL)
        AS enriched,
    (SELECT count(*) FROM enrichment WHERE run_id = :run_id::uuid AND state = 'FAILED') AS failed,
    (SELECT count(*) FROM scored) AS scored,
    (SELECT count(*) FROM scored WHERE band = 'HIGH') AS high,
    (SELECT count(*) FROM scored WHERE band = 'MEDIUM') AS medium,
    (SELECT count(*) FROM scored WHERE band = 'LOW') AS low,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid) AS drafted,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid AND state = 'waiting') AS waiting,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid AND state = 'needs_data')
        AS needs_data,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid AND state = 'not_wanted')
        AS not_wanted,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid AND state = 'already_written')
        AS already_written,
    (SELECT count(*) FROM message WHERE run_id = :run_id::uuid AND state = 'suppressed')
        AS suppressed,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid) AS intended,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'ready') AS ready,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'sending') AS sending,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'accepted') AS accepted,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'refused') AS refused,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'unknown') AS unknown,
    (SELECT count(*) FROM intent WHERE run_id = :run_id::uuid AND state = 'cancelled')
        AS cancelled,
    (SELECT count(*) FROM job WHERE run_id = :run_id::uuid) AS live_jobs,
    (SELECT COALESCE(sum(settled_micros), 0)::bigint FROM provider_call
     WHERE run_id = :run_id::uuid AND state = 'settled') AS spent_micros,
    (SELECT COALESCE(sum(reserved_micros), 0)::bigint FROM provider_call
     WHERE run_id = :run_id::uuid AND state = 'reserved') AS reserved_micros,
    (SELECT COALESCE(sum(reserved_micros), 0)::bigint FROM provider_call
     WHERE run_id = :run_id::uuid AND state = 'unresolved') AS unresolved_micros

-- name: list_waits
-- What a run waits for: jobs that are tried again later, and messages that need a person first.
SELECT stage, reason, count(*) AS count, min(again_at) AS again_at FROM (
    SELECT stage, left(last_error, 300) AS reason, run_at AS again_at FROM job
    WHERE run_id = :run_id::uuid AND state = 2 AND last_error <> ''
    UNION ALL
    SELECT 'message.send', detail, NULL FROM intent
    WHERE run_id = :run_id::uuid AND state = 'ready'
        AND code IN ('waits_for_setup', 'waits_for_money')
) AS waiting
GROUP BY stage, reason ORDER BY count(*) DESC, stage, reason LIMIT :limit::int

-- name: has_waiting_messages
-- Whether messages of a run may still go that no job carries.
SELECT EXISTS (
    SELECT FROM intent WHERE run_id = :run_id::uuid AND state = 'ready'
        AND code IN ('waits_for_setup', 'waits_for_money'))

-- name: list_lead_costs
-- Sum the cost of these leads in a run, with the providers paid.
SELECT part.subject::uuid AS lead_id, sum(part.share)::bigint AS micros,
       array_agg(DISTINCT provider ORDER BY provider) AS providers
FROM provider_call
CROSS JOIN LATERAL unnest(subjects, shares) AS part (subject, share)
WHERE run_id = :run_id::uuid AND state = 'settled' AND part.subject = ANY (:lead_ids::text[])
  AND part.share > 0
GROUP BY part.subject

-- name: list_lead_codes
-- How the enrichment of these leads ended, where there is something to say.
SELECT lead_id, code FROM enrichment
WHERE run_id = :run_id::uuid AND lead_id = ANY (:lead_ids::uuid[]) AND code IS NOT NULL

-- name: list_accepted_references
-- The references of what the other side took.
SELECT reference FROM intent WHERE run_id = :run_id::uuid AND state = 'accepted' ORDER BY id
