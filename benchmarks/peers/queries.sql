-- name: count_procrastinate
-- What the database still has to do.
SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing');

-- name: count_pgqueuer
-- What the database still has to do.
SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked');

-- name: vacuum_all
-- As the floor does after filling.
VACUUM (ANALYZE);

-- name: show_lead
-- A lead's page as one statement makes it: Postgres builds the JSON.
SELECT json_build_object(
    'id', lead.id, 'version', lead.version, 'status', lead.status, 'failedCode', lead.failed_code,
    'source', lead.source, 'owner', lead.owner, 'companyId', lead.company_id,
    'createdAt', lead.created_at, 'updatedAt', lead.updated_at,
    'values', (
        SELECT json_object_agg(won.field, won.value::json) FROM (
            SELECT DISTINCT ON (field) field, value FROM field_value
            WHERE subject_id IN (lead.id, lead.company_id)
            ORDER BY field, is_human DESC, rank DESC) AS won),
    'provenance', (
        SELECT json_agg(json_build_object(
            'id', said.id, 'field', said.field, 'value', said.value::json, 'source', said.source,
            'method', said.method, 'observedAt', said.observed_at, 'recordedAt', said.recorded_at,
            'confidence', said.confidence, 'costMicros', said.cost_micros,
            'evidenceHash', encode(said.evidence_hash, 'hex'), 'isHuman', said.is_human,
            'leadId', said.lead_id, 'companyId', said.company_id) ORDER BY said.field, said.rank)
        FROM field_value AS said WHERE said.subject_id IN (lead.id, lead.company_id)),
    'keys', (
        SELECT json_agg(json_build_object('kind', kind, 'value', value) ORDER BY kind, value)
        FROM identity WHERE lead_id = lead.id),
    'merged', (
        SELECT json_agg(json_build_object('leadId', id, 'at', merged_at))
        FROM lead AS younger WHERE younger.merged_into = lead.id),
    'records', (
        SELECT json_agg(json_build_object(
            'kind', kind, 'runId', run_id, 'provider', provider, 'state', state, 'at', at,
            'costMicros', cost_micros) ORDER BY at)
        FROM (
            SELECT 'discovery' AS kind, run_id, provider, status AS state, recorded_at AS at,
                0 AS cost_micros
            FROM discovery_record WHERE lead_id = lead.id
            UNION ALL
            SELECT 'enrichment', run_id, provider, state, recorded_at, cost_micros
            FROM enrichment_record WHERE lead_id = lead.id) AS asked),
    'score', (
        SELECT json_build_object(
            'id', score.id, 'icpId', score.icp_id, 'runId', score.run_id,
            'scoreMilli', score.score_milli, 'band', score.band,
            'isFilteredOut', score.hard_filter_failed, 'names', score.contribution_names,
            'points', score.contribution_points, 'trace', score.trace::json,
            'algorithm', algorithm.name, 'algorithmVersion', algorithm.version,
            'createdAt', score.created_at)
        FROM score_prediction AS score
        JOIN scoring_algorithm AS algorithm ON algorithm.id = score.algorithm_id
        WHERE score.lead_id = lead.id
        ORDER BY score.source_version DESC, score.id DESC LIMIT 1),
    'messages', (
        SELECT json_agg(json_build_object(
            'id', message.id, 'state', message.state, 'channel', message.channel,
            'subject', message.subject, 'body', message.body, 'intentId', intent.id,
            'intentState', intent.state) ORDER BY message.id DESC)
        FROM message
        LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
        WHERE message.lead_id = lead.id)
)::text
FROM lead WHERE lead.id = :id::uuid;

-- name: add_lead
-- A lead with its keys, values, run, job and event in one statement; no row: it is there already.
WITH claimed AS (
    INSERT INTO identity (kind, value, lead_id) VALUES ('email', :email::text, :lead_id::uuid)
    ON CONFLICT DO NOTHING RETURNING lead_id
), named AS (
    INSERT INTO identity (kind, value, lead_id)
    SELECT 'name_domain', :name_key::text, lead_id FROM claimed
    ON CONFLICT DO NOTHING
), employed AS (
    INSERT INTO company (id, domain, name, created_at)
    VALUES (:company_id::uuid, :domain::text, NULL, :now::timestamptz)
    ON CONFLICT DO NOTHING
), made AS (
    INSERT INTO lead (
        id, status, source, company_id, company_rank, full_name, title, email, country, sort_name,
        created_at, updated_at)
    SELECT lead_id, 'processing', 'api', :company_id::uuid, 1, :full_name::text, :title::text,
        :email::text, :country::text, lower(:full_name::text), :now::timestamptz,
        :now::timestamptz
    FROM claimed RETURNING id
), found_by AS (
    INSERT INTO lead_text (lead_id, words)
    SELECT id, array_to_tsvector(:words::text[]) FROM made
), said AS (
    INSERT INTO field_value (
        subject_id, field, source, method, evidence_hash, id, lead_id, value, observed_at,
        recorded_at, confidence, cost_micros, rank, is_human)
    SELECT made.id, told.field, 'api', 'leads.create', :evidence::bytea, told.id, made.id,
        told.value, :now::timestamptz, :now::timestamptz, 0.9, 0, 1, false
    FROM made CROSS JOIN unnest(:value_ids::uuid[], :fields::text[], :values::text[])
        AS told (id, field, value)
), opened AS (
    INSERT INTO run (id, kind, title, sends, providers, cap_micros, created_at)
    SELECT :run_id::uuid, 'lead', 'one lead by the API', 'hold', '{}', 5000000, :now::timestamptz
    FROM made
), happened AS (
    INSERT INTO event (era, id, at, subject, run_id, type, payload)
    SELECT 1, :event_id::uuid, :now::timestamptz, id, :run_id::uuid, 'leads.lead.created',
        :payload::text
    FROM made
)
INSERT INTO job (id, run_id, created_at, state, stage, key, payload)
SELECT :job_id::uuid, :run_id::uuid, :now::timestamptz, 0, 'enrichment.run', :job_key::text,
    :payload::text
FROM made RETURNING id;
