-- name: find_marks
-- One mark for everything a lead's page is made of: it is another as soon as a row is, because
-- each version of a row has its own transaction and place.
WITH RECURSIVE up AS (
    SELECT id AS start, id, merged_into, deleted_at FROM lead WHERE id = ANY (:lead_ids::uuid[])
    UNION ALL
    SELECT up.start, lead.id, lead.merged_into, lead.deleted_at
    FROM up JOIN lead ON lead.id = up.merged_into
), down AS (
    SELECT start, id FROM up WHERE merged_into IS NULL AND deleted_at IS NULL
    UNION ALL
    SELECT down.start, lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT down.start AS lead_id, sum(part.mark)::text AS mark
FROM down
CROSS JOIN LATERAL (
    SELECT hashtextextended(concat(lead.xmin, lead.ctid), 1) AS mark
    FROM lead WHERE lead.id = down.id
    UNION ALL
    SELECT hashtextextended(concat(said.xmin, said.ctid), 2)
    FROM field_value AS said WHERE said.subject_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(said.xmin, said.ctid), 2)
    FROM lead JOIN field_value AS said ON said.subject_id = lead.company_id
    WHERE lead.id = down.id
    UNION ALL
    SELECT hashtextextended(concat(identity.xmin, identity.ctid), 3)
    FROM identity WHERE identity.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(shared.xmin, shared.ctid), 3)
    FROM shared_identity AS shared WHERE shared.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(found.xmin, found.ctid), 4)
    FROM discovery_record AS found WHERE found.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(asked.xmin, asked.ctid), 5)
    FROM enrichment_record AS asked WHERE asked.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(score.xmin, score.ctid), 6)
    FROM score_prediction AS score WHERE score.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(message.xmin, message.ctid, intent.xmin, intent.ctid), 7)
    FROM message LEFT JOIN intent ON intent.message_id = message.id
    WHERE message.lead_id = down.id
    UNION ALL
    SELECT hashtextextended(concat(opt_in.xmin, opt_in.ctid), 8)
    FROM opt_in WHERE opt_in.lead_id = down.id
    OFFSET 0
) AS part
GROUP BY down.start

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

-- name: find_company
-- Find the company of a domain.
SELECT id FROM company WHERE domain = :domain::text

-- name: find_by_email
-- Find the leads of an address, merges followed to the end; several share a role's mailbox.
WITH RECURSIVE bearer AS (
    SELECT lead_id FROM identity WHERE kind IN ('email', 'mailbox') AND value = :email::text
    UNION
    SELECT lead_id FROM shared_identity
    WHERE kind IN ('email', 'mailbox') AND value = :email::text
), chain AS (
    SELECT lead.id, lead.merged_into FROM bearer JOIN lead ON lead.id = bearer.lead_id
    UNION
    SELECT lead.id, lead.merged_into FROM chain JOIN lead ON lead.id = chain.merged_into
)
SELECT id FROM chain WHERE merged_into IS NULL

-- name: plan_by_values
-- The planner looks at what is given, each time, until the transaction ends; and what lists read
-- is mostly in memory, where reading here and there costs little more than in a row.
SELECT
    set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('random_page_cost', '1.1', true)

-- name: take_snapshot
-- All that follows in the transaction sees the leads of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- fragment: lead_filter
-- The leads that a list asks for. What is not asked for is null, and the planner, which is made to
-- look at what is given each time, drops it: what remains walks one index. With an ICP or a run the
-- newest score there stands for the newest of all.
FROM lead
LEFT JOIN lead_text ON :is_common::bool AND lead_text.lead_id = lead.id
LEFT JOIN score_prediction AS score ON :is_scoped::bool AND score.lead_id = lead.id
WHERE lead.merged_into IS NULL AND lead.deleted_at IS NULL
    AND (:words::text IS NULL OR CASE WHEN :is_common::bool
        THEN lead_text.words @@ :words::text::tsquery
        ELSE lead.id = ANY(ARRAY(
            SELECT lead_id FROM lead_text WHERE words @@ :words::text::tsquery)) END)
    AND (NOT :is_scoped::bool OR score.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM score_prediction AS newer
        WHERE newer.lead_id = score.lead_id
            AND (newer.source_version, newer.id) > (score.source_version, score.id)
            AND newer.icp_id = coalesce(:icp_id::uuid, newer.icp_id)
            AND newer.run_id IS NOT DISTINCT FROM coalesce(:run_id::uuid, newer.run_id)))
    AND (:icp_id::uuid IS NULL OR score.icp_id = :icp_id::uuid)
    AND (:run_id::uuid IS NULL OR score.run_id = :run_id::uuid)
    AND (:status::text IS NULL OR lead.status = :status::text)
    AND (:source::text IS NULL OR lead.source = :source::text)
    AND (:country::text IS NULL OR lead.country = :country::text)
    AND (:owner::text IS NULL OR lead.owner = :owner::text)
    AND (:visible_owner::text IS NULL OR lead.owner = :visible_owner::text)
    AND (NOT :is_unowned::bool OR lead.owner IS NULL)
    AND (:tags::text[] IS NULL OR lead.tags @> :tags::text[] AND lead.tags <> '{}')
    AND (:company_id::uuid IS NULL OR lead.company_id = :company_id::uuid)
    AND (:lead_ids::uuid[] IS NULL OR lead.id = ANY(:lead_ids::uuid[]))
    AND (:created_after::timestamptz IS NULL
        OR lead.created_at >= :created_after::timestamptz AND lead.id >= :from_id::uuid)
    AND (:created_before::timestamptz IS NULL
        OR lead.created_at < :created_before::timestamptz AND lead.id < :to_id::uuid)
    AND (:band::text IS NULL
        OR CASE WHEN :is_scoped::bool THEN score.band ELSE lead.band END = :band::text)
    AND (:min_milli::int IS NULL OR CASE WHEN :is_scoped::bool THEN score.score_milli
        ELSE coalesce(lead.score_milli, -1) END >= :min_milli::int)
    AND (:max_milli::int IS NULL OR CASE WHEN :is_scoped::bool THEN score.score_milli
        ELSE coalesce(lead.score_milli, -1) END BETWEEN 0 AND :max_milli::int)

-- name: list_leads
-- A page of leads. An id is a time, so the newest lead has the greatest.
SELECT
    lead.id, lead.version, lead.status, lead.failed_code, lead.source, lead.owner, lead.tags,
    lead.company_id, lead.full_name, lead.title, lead.email, lead.company_name, lead.country,
    lead.sort_name, lead.created_at, lead.updated_at,
    (SELECT domain FROM company WHERE company.id = lead.company_id) AS company_domain,
    CASE WHEN :is_scoped::bool THEN score.score_milli ELSE lead.score_milli END AS score_milli,
    CASE WHEN :is_scoped::bool THEN score.band ELSE lead.band END AS band,
    CASE WHEN :is_scoped::bool THEN score.icp_id ELSE lead.score_icp_id END AS icp_id,
    CASE WHEN :is_scoped::bool THEN score.run_id ELSE lead.score_run_id END AS run_id,
    CASE WHEN :is_scoped::bool THEN score.created_at ELSE lead.scored_at END AS scored_at
{lead_filter}
    AND (:after_id::uuid IS NULL OR CASE :sort::text
        WHEN '-createdAt' THEN lead.id < :after_id::uuid
        WHEN 'createdAt' THEN lead.id > :after_id::uuid
        WHEN '-updatedAt' THEN
            (lead.updated_at, lead.id) < (:after_at::timestamptz, :after_id::uuid)
        WHEN 'name' THEN (lead.sort_name, lead.id) > (:after_name::text, :after_id::uuid)
        WHEN '-score' THEN (CASE WHEN :is_scoped::bool THEN score.score_milli
            ELSE coalesce(lead.score_milli, -1) END, lead.id) < (:after_milli::int, :after_id::uuid)
        ELSE (CASE WHEN :is_scoped::bool THEN score.score_milli
            ELSE coalesce(lead.score_milli, -1) END, lead.id) > (:after_milli::int, :after_id::uuid)
    END)
ORDER BY
    CASE WHEN :sort::text = '-updatedAt' THEN lead.updated_at END DESC,
    CASE WHEN :sort::text = 'name' THEN lead.sort_name END,
    CASE WHEN :sort::text = '-score' THEN CASE WHEN :is_scoped::bool THEN score.score_milli
        ELSE coalesce(lead.score_milli, -1) END END DESC,
    CASE WHEN :sort::text = 'score' THEN CASE WHEN :is_scoped::bool THEN score.score_milli
        ELSE coalesce(lead.score_milli, -1) END END,
    CASE WHEN :sort::text LIKE '-%' THEN lead.id END DESC,
    CASE WHEN :sort::text NOT LIKE '-%' THEN lead.id END
LIMIT :limit::int OFFSET :offset::int

-- name: count_leads
-- How many leads fit, up to a bound: counting a million for a number on a page is a waste.
SELECT count(*) FROM (
    SELECT
    {lead_filter}
    LIMIT :bound::int
) AS counted

-- name: estimate_leads
-- About how many leads fit, as the planner sees it from what the last ANALYZE saw.
EXPLAIN (FORMAT JSON)
SELECT
{lead_filter}

-- name: count_words
-- How many leads some words find, up to a bound.
SELECT count(*) FROM (
    SELECT FROM lead_text WHERE words @@ :words::text::tsquery LIMIT :bound::int
) AS found

-- name: list_lead_events
-- List the events of a lead and those merged into it, newest first, behind a position.
WITH RECURSIVE family AS (
    SELECT :lead_id::uuid AS id
    UNION ALL
    SELECT lead.id FROM family JOIN lead ON lead.merged_into = family.id
)
SELECT event.id, event.type, event.at, event.subject, event.run_id, event.payload
FROM event WHERE subject IN (SELECT id FROM family)
  AND (:before::uuid IS NULL OR event.id < :before::uuid)
ORDER BY event.id DESC LIMIT :limit::int

-- name: find_owner_emails
-- The addresses of owners.
SELECT id::text AS owner, email FROM app_user WHERE id::text = ANY(:owners::text[])
