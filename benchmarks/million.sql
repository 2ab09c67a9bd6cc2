-- name: find_indexes
-- Indexes that can be made again afterwards, which is several times faster than keeping them.
SELECT 'DROP INDEX ' || indexrelid::regclass AS dropping, pg_get_indexdef(indexrelid) AS making
FROM pg_index
WHERE indrelid = ANY(ARRAY['lead', 'lead_text', 'identity', 'score_prediction']::regclass[])
    AND NOT indisunique;

-- name: set_seed
-- The same seed gives the same leads.
SELECT setseed(:seed::float8);

-- name: add_companies
-- The companies that the leads share.
INSERT INTO company (id, domain, name, created_at)
SELECT id, domain, name, :begin::timestamptz
FROM unnest(:ids::uuid[], :domains::text[], :names::text[]) AS made (id, domain, name)
ON CONFLICT DO NOTHING;

-- name: add_leads
-- A few firms, countries, titles, owners and tags have most; ids and times rise together.
INSERT INTO lead (
    id, status, failed_code, source, company_id, company_rank, owner, created_at, updated_at,
    tags, full_name, title, email, company_name, country, sort_name,
    score_id, score_milli, band, score_icp_id, score_run_id, scored_at, scored_version
)
SELECT
    id, status, CASE WHEN status = 'failed' THEN 'enrichment.nothing.found' END, source,
    company_id, 60.0, owner, at, at + later, tags, name, title,
    lower(replace(name, ' ', '.')) || n || '@' || domain, company_name, country, lower(name),
    CASE WHEN is_scored THEN score_id END, CASE WHEN is_scored THEN score_milli END,
    CASE WHEN is_scored THEN
        CASE WHEN score_milli >= 70000 THEN 'HIGH' WHEN score_milli >= 40000 THEN 'MEDIUM'
        ELSE 'LOW' END
    END,
    CASE WHEN is_scored THEN icp_id END, CASE WHEN is_scored THEN run_id END,
    CASE WHEN is_scored THEN at + later END, CASE WHEN is_scored THEN 1 END
FROM (
    SELECT
        n, at, id, score_id, tags, icp_id, owner, later,
        (:run_ids::uuid[])[1 + n * cardinality(:run_ids::uuid[]) / :count::int] AS run_id,
        (:company_ids::uuid[])[firm] AS company_id, 'firm' || firm || '.example' AS domain,
        'Firm' || firm || ' ' || (:fields::text[])[1 + firm % cardinality(:fields::text[])]
            AS company_name,
        (:firsts::text[])[1 + floor(cardinality(:firsts::text[]) * r1 * r1)::int] || ' '
            || (:lasts::text[])[1 + floor(cardinality(:lasts::text[]) * r2 * sqrt(r2))::int]
            AS name,
        (:titles::text[])[1 + floor(cardinality(:titles::text[]) * r3 * r3)::int] AS title,
        (:countries::text[])[1 + floor(cardinality(:countries::text[]) * r4 * r4 * r4)::int]
            AS country,
        CASE WHEN r5 < 0.93 THEN 'enriched' WHEN r5 < 0.97 THEN 'failed'
            WHEN r5 < 0.995 THEN 'processing' ELSE 'new' END AS status,
        CASE WHEN r6 < 0.9 THEN 'apollo' WHEN r6 < 0.99 THEN 'csv' ELSE 'api' END AS source,
        r5 < 0.93 AS is_scored, floor(100000 * r7 * sqrt(r7))::int AS score_milli
    FROM (
        SELECT
            n, :begin::timestamptz + n * interval '15 seconds' AS at,
            (lpad(to_hex((extract(epoch FROM :begin::timestamptz + n * interval '15 seconds')
                * 1000)::int8), 12, '0') || '7001' || '8' || substr(md5('l' || n), 1, 15))::uuid
                AS id,
            (lpad(to_hex((extract(epoch FROM :begin::timestamptz + n * interval '15 seconds')
                * 1000)::int8 + 3), 12, '0') || '7002' || '8' || substr(md5('s' || n), 1, 15))::uuid
                AS score_id,
            1 + floor(cardinality(:company_ids::uuid[]) * power(random(), 2.5))::int AS firm,
            CASE WHEN random() < 0.3 THEN
                (:owners::text[])[1 + floor(cardinality(:owners::text[]) * power(random(), 2))::int]
            END AS owner,
            CASE WHEN random() < 0.1 THEN
                ARRAY[(:tags::text[])[1 + floor(cardinality(:tags::text[])
                    * power(random(), 3))::int]]
            ELSE '{}' END AS tags,
            (:icp_ids::uuid[])[1 + floor(cardinality(:icp_ids::uuid[])
                * power(random(), 2))::int] AS icp_id,
            random() * interval '2 days' AS later,
            random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5,
            random() AS r6, random() AS r7
        FROM generate_series(:first::int, :last::int) AS n
    ) AS drawn
) AS made;

-- name: add_words
-- The words each lead is found by, as the product folds them.
INSERT INTO lead_text (lead_id, words)
SELECT id, array_to_tsvector(array_remove(
    string_to_array(sort_name, ' ') || regexp_split_to_array(lower(title), '[^a-z0-9]+')
    || string_to_array(lower(company_name), ' ') || email
    || split_part(split_part(email, '@', 1), '.', 2) || split_part(email, '@', 2)
    || split_part(split_part(email, '@', 2), '.', 1), ''))
FROM lead WHERE created_at >= :from_at::timestamptz AND created_at < :to_at::timestamptz;

-- name: add_values
-- Where each value comes from.
INSERT INTO field_value (
    subject_id, field, source, method, evidence_hash, id, lead_id, company_id, value, observed_at,
    recorded_at, confidence, cost_micros, rank, is_human
)
SELECT
    lead.id, told.field, lead.source, 'people.search',
    sha256(convert_to(lead.id::text, 'UTF8')), gen_random_uuid(), lead.id, NULL,
    to_json(told.value)::text, lead.created_at, lead.created_at, 0.9, 0, 40.0, false
FROM lead
JOIN company ON company.id = lead.company_id
CROSS JOIN LATERAL (VALUES
    ('full_name', lead.full_name), ('title', lead.title), ('email', lead.email),
    ('company_name', lead.company_name), ('company_domain', company.domain),
    ('country', lead.country)) AS told (field, value)
WHERE lead.created_at >= :from_at::timestamptz AND lead.created_at < :to_at::timestamptz;

-- name: add_keys
-- Whose each address is.
INSERT INTO identity (kind, value, lead_id)
SELECT 'email', email, id FROM lead
WHERE created_at >= :from_at::timestamptz AND created_at < :to_at::timestamptz;

-- name: add_snapshots
-- What the scores were made from.
INSERT INTO feature_snapshot (
    id, lead_id, icp_id, snapshot_version, source_version, vector_hash, vector, created_at
)
SELECT
    score_id, id, score_icp_id, 1, 1, sha256(convert_to(id::text, 'UTF8')),
    '{}', scored_at
FROM lead
WHERE created_at >= :from_at::timestamptz AND created_at < :to_at::timestamptz
    AND score_id IS NOT NULL;

-- name: add_scores
-- Scores with their parts.
INSERT INTO score_prediction (
    id, lead_id, icp_id, run_id, snapshot_id, source_version, algorithm_id, score_milli, band,
    hard_filter_failed, contribution_names, contribution_points, trace, created_at
)
SELECT
    lead.score_id, lead.id, lead.score_icp_id, lead.score_run_id, lead.score_id, 1,
    scoring_algorithm.id, lead.score_milli, lead.band, false, ARRAY['title', 'country'],
    ARRAY[lead.score_milli / 2, lead.score_milli - lead.score_milli / 2], '[]', lead.scored_at
FROM lead CROSS JOIN scoring_algorithm
WHERE lead.created_at >= :from_at::timestamptz AND lead.created_at < :to_at::timestamptz
    AND lead.score_id IS NOT NULL;

-- name: tidy
-- As autovacuum would have done meanwhile.
VACUUM (ANALYZE) lead, lead_text, company, identity, field_value, feature_snapshot,
    score_prediction;
