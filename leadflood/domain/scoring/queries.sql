-- name: find_rulebooks
-- The rulebooks of ICP versions: thresholds, and rules as JSON in order.
SELECT p.id, p.definition,
    (
        SELECT json_agg(json_build_object(
            'kind', r.kind, 'field', r.field, 'operator', r.operator,
            'value', r.value::json, 'weight', r.weight
        ) ORDER BY r.position)::text
        FROM qualification_rule AS r WHERE r.icp_id = p.id
    ) AS rules
FROM icp_profile AS p
WHERE p.id = ANY(:ids::uuid[]);

-- name: find_vectors
-- The vectors of snapshots.
SELECT id, vector FROM feature_snapshot WHERE id = ANY(:ids::uuid[]);

-- name: insert_predictions
-- A score is made once for a lead, snapshot and run; only the new ones are returned.
INSERT INTO score_prediction (
    id, lead_id, icp_id, run_id, snapshot_id, source_version, algorithm_id, score_milli, band,
    hard_filter_failed, contribution_names, contribution_points, trace, created_at
)
SELECT row.id, row.lead_id, row.icp_id, row.run_id, row.snapshot_id, row.source_version,
    :algorithm_id::uuid, row.score_milli, row.band, row.hard_filter_failed, row.names::text[],
    row.points::int[], row.trace, :now::timestamptz
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :icp_ids::uuid[], :run_ids::uuid[], :snapshot_ids::uuid[],
    :source_versions::bigint[], :scores_milli::int[], :bands::text[], :filters_failed::boolean[],
    :names::text[], :points::text[], :traces::text[]
) AS row (
    id, lead_id, icp_id, run_id, snapshot_id, source_version, score_milli, band,
    hard_filter_failed, names, points, trace
)
ORDER BY row.lead_id, row.icp_id, row.snapshot_id, row.run_id
ON CONFLICT ON CONSTRAINT score_once DO NOTHING
RETURNING id;

-- name: find_scores
-- The newest score of each lead, for one ICP version or for any: the one of the lead's newest
-- version, whichever was stored last.
SELECT DISTINCT ON (s.lead_id) s.id, s.lead_id, s.icp_id, s.run_id, s.snapshot_id, s.source_version,
    a.name AS algorithm, a.version AS algorithm_version, p.medium_milli, p.high_milli,
    s.score_milli, s.band, s.hard_filter_failed, s.contribution_names, s.contribution_points,
    s.trace, s.created_at
FROM score_prediction AS s
JOIN icp_profile AS p ON p.id = s.icp_id
JOIN scoring_algorithm AS a ON a.id = s.algorithm_id
WHERE s.lead_id = ANY(:lead_ids::uuid[])
    AND (:icp_id::uuid IS NULL OR s.icp_id = :icp_id::uuid)
ORDER BY s.lead_id, s.source_version DESC, s.id DESC;

-- name: find_newest
-- Which score of each lead is the newest.
SELECT DISTINCT ON (lead_id) lead_id, id FROM score_prediction
WHERE lead_id = ANY(:lead_ids::uuid[]) ORDER BY lead_id, source_version DESC, id DESC;

-- name: find_newest_high
-- The newest score of each lead for an ICP version, where it is HIGH.
SELECT newest.lead_id, newest.icp_id, newest.id
FROM unnest(:lead_ids::uuid[], :icp_ids::uuid[]) AS scored (lead_id, icp_id)
CROSS JOIN LATERAL (
    SELECT s.lead_id, s.icp_id, s.id, s.band FROM score_prediction AS s
    WHERE s.lead_id = scored.lead_id AND s.icp_id = scored.icp_id
    ORDER BY s.source_version DESC, s.id DESC LIMIT 1
) AS newest
WHERE newest.band = 'HIGH';

-- name: find_top
-- The best leads of a run by their newest score there; merged and deleted ones are left out.
SELECT s.id, s.lead_id, s.icp_id, s.run_id, s.snapshot_id, s.source_version,
    a.name AS algorithm, a.version AS algorithm_version, p.medium_milli, p.high_milli,
    s.score_milli, s.band, s.hard_filter_failed, s.contribution_names, s.contribution_points,
    s.trace, s.created_at
FROM (
    SELECT DISTINCT ON (n.lead_id) n.*
    FROM score_prediction AS n
    JOIN lead AS l ON l.id = n.lead_id AND l.merged_into IS NULL AND l.deleted_at IS NULL
    WHERE n.run_id = :run_id::uuid
    ORDER BY n.lead_id, n.source_version DESC, n.id DESC
) AS s
JOIN icp_profile AS p ON p.id = s.icp_id
JOIN scoring_algorithm AS a ON a.id = s.algorithm_id
ORDER BY s.score_milli DESC, s.lead_id
LIMIT :limit::int;

-- name: list_newest
-- The newest leads.
SELECT id FROM lead
WHERE merged_into IS NULL AND deleted_at IS NULL
ORDER BY created_at DESC, id DESC LIMIT :limit::int;

-- name: list_newest_owned
-- The newest leads of one owner.
SELECT id FROM lead
WHERE owner = :owner::text AND merged_into IS NULL AND deleted_at IS NULL
ORDER BY created_at DESC, id DESC LIMIT :limit::int;

-- name: count_leads_to
-- How many leads there are, up to a bound, of one owner or of all.
SELECT count(*) FROM (
    SELECT FROM lead
    WHERE merged_into IS NULL AND deleted_at IS NULL
        AND (:owner::text IS NULL OR owner = :owner::text)
    LIMIT :bound::int
) AS counted;

-- name: estimate_all_leads
-- About how many leads there are, as the last ANALYZE saw it.
SELECT GREATEST(reltuples, 0)::bigint FROM pg_class WHERE oid = 'lead'::regclass;
