-- name: count_funnel
-- All numbers of a run in one snapshot.
WITH scored AS (
    SELECT DISTINCT ON (lead_id) lead_id, score_prediction.band
    FROM score_prediction JOIN lead ON lead.id = lead_id
    WHERE run_id = :run_id::uuid AND lead.merged_into IS NULL
    ORDER BY lead_id, score_prediction.created_at DESC)
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

-- name: list_lead_costs
-- What was spent on these leads in a run, with who was paid.
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

-- name: list_accepted
-- The references of what the other side took.
SELECT reference FROM intent WHERE run_id = :run_id::uuid AND state = 'accepted' ORDER BY id

-- name: list_lead_records
-- Every discovery and enrichment record of leads.
SELECT lead_id, 'discovery' AS kind, run_id, provider, status AS state, reason AS code,
       status IN ('DISCOVERED', 'DUPLICATE') AS is_found, false AS is_cached,
       0::bigint AS cost_micros, recorded_at AS at
FROM discovery_record WHERE lead_id = ANY (:lead_ids::uuid[])
UNION ALL
SELECT lead_id, 'enrichment', run_id, provider, state, code, is_found, is_cached, cost_micros,
       recorded_at
FROM enrichment_record WHERE lead_id = ANY (:lead_ids::uuid[])

-- name: list_leads
-- Leads with their newest score, newest first, behind a place.
SELECT lead.id, lead.status, lead.failed_code, lead.source, lead.owner, lead.company_id,
       score.score_milli, score.band, score.icp_id, score.run_id, score.created_at AS scored_at,
       lead.created_at, lead.updated_at
FROM lead
LEFT JOIN LATERAL (
    SELECT score_milli, band, icp_id, run_id, created_at FROM score_prediction
    WHERE lead_id = lead.id
      AND (:icp_id::uuid IS NULL OR icp_id = :icp_id::uuid)
      AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
    ORDER BY created_at DESC, id DESC LIMIT 1) AS score ON true
WHERE lead.merged_into IS NULL AND (:before::uuid IS NULL OR lead.id < :before::uuid)
  AND (:status::text IS NULL OR lead.status = :status::text)
  AND (:source::text IS NULL OR lead.source = :source::text)
  AND (:owner::text IS NULL OR lead.owner = :owner::text)
  AND (:band::text IS NULL OR score.band = :band::text)
  AND (:min_milli::int IS NULL OR score.score_milli >= :min_milli::int)
  AND (:icp_id::uuid IS NULL OR score.icp_id = :icp_id::uuid)
  AND (:run_id::uuid IS NULL OR score.run_id = :run_id::uuid)
  AND (:country::text IS NULL OR EXISTS (
        SELECT FROM field_value
        WHERE subject_id = lead.id AND field = 'country' AND value = :country::text))
  AND (:email::text IS NULL OR lead.id IN (
        SELECT lead_id FROM identity WHERE kind = 'email' AND value = :email::text))
  AND (:company_domain::text IS NULL OR lead.company_id IN (
        SELECT id FROM company WHERE domain = :company_domain::text))
ORDER BY lead.id DESC LIMIT :limit::int

-- name: count_leads
-- How many leads fit, up to a bound: counting a million for a number on a page is a waste.
SELECT count(*) FROM (
    SELECT FROM lead
    LEFT JOIN LATERAL (
        SELECT score_milli, band, icp_id, run_id, created_at FROM score_prediction
        WHERE lead_id = lead.id
          AND (:icp_id::uuid IS NULL OR icp_id = :icp_id::uuid)
          AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
        ORDER BY created_at DESC, id DESC LIMIT 1) AS score ON true
    WHERE lead.merged_into IS NULL
      AND (:status::text IS NULL OR lead.status = :status::text)
      AND (:source::text IS NULL OR lead.source = :source::text)
      AND (:owner::text IS NULL OR lead.owner = :owner::text)
      AND (:band::text IS NULL OR score.band = :band::text)
      AND (:min_milli::int IS NULL OR score.score_milli >= :min_milli::int)
      AND (:icp_id::uuid IS NULL OR score.icp_id = :icp_id::uuid)
      AND (:run_id::uuid IS NULL OR score.run_id = :run_id::uuid)
      AND (:country::text IS NULL OR EXISTS (
            SELECT FROM field_value
            WHERE subject_id = lead.id AND field = 'country' AND value = :country::text))
      AND (:email::text IS NULL OR lead.id IN (
            SELECT lead_id FROM identity WHERE kind = 'email' AND value = :email::text))
      AND (:company_domain::text IS NULL OR lead.company_id IN (
            SELECT id FROM company WHERE domain = :company_domain::text))
    LIMIT :bound::int) AS counted

-- name: estimate_leads
-- About how many leads there are, as the last ANALYZE saw it.
SELECT GREATEST(reltuples, 0)::bigint FROM pg_class WHERE oid = 'lead'::regclass

-- name: list_discovery_runs
-- Discovery runs, newest first, behind a place.
SELECT discovery_run.id, discovery_run.icp_id, run.kind, run.title, discovery_run.provider,
       discovery_run.state, run.state AS run_state, discovery_run.code, discovery_run.wanted_count,
       discovery_run.lead_count, discovery_run.created_at, run.ended_at
FROM discovery_run JOIN run USING (id)
WHERE (:before::uuid IS NULL OR discovery_run.id < :before::uuid)
  AND (:icp_ids::uuid[] IS NULL OR discovery_run.icp_id = ANY (:icp_ids::uuid[]))
  AND (:state::text IS NULL OR run.state = :state::text)
  AND (:search_state::text IS NULL OR discovery_run.state = :search_state::text)
  AND (:provider::text IS NULL OR discovery_run.provider = :provider::text)
  AND (:kind::text IS NULL OR run.kind = :kind::text)
ORDER BY discovery_run.id DESC LIMIT :limit::int

-- name: list_lead_events
-- What happened to a lead and those merged into it, newest first, behind a place.
WITH RECURSIVE family AS (
    SELECT :lead_id::uuid AS id
    UNION ALL
    SELECT lead.id FROM family JOIN lead ON lead.merged_into = family.id
)
SELECT event.id, event.type, event.at, event.subject, event.run_id, event.payload
FROM event WHERE subject IN (SELECT id FROM family)
  AND (:before::uuid IS NULL OR event.id < :before::uuid)
ORDER BY event.id DESC LIMIT :limit::int
