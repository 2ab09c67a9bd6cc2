-- name: find_score_then
-- The score that a lead, or who is one with it, had at a time: what a verdict is about. Versions
-- order the scores of one lead, ids those of several.
SELECT id, icp_id, snapshot_id FROM (
    SELECT DISTINCT ON (lead_id) id, icp_id, snapshot_id FROM score_prediction
    WHERE lead_id = ANY(:lead_ids::uuid[]) AND created_at <= :at::timestamptz
        AND (:icp_id::uuid IS NULL OR icp_id = :icp_id::uuid)
    ORDER BY lead_id, source_version DESC, id DESC
) AS newest
ORDER BY id DESC
LIMIT 1;

-- name: add_label
-- Labels are kept, never changed: a later one of the same kind takes the place of an earlier one.
INSERT INTO label (
    id, lead_id, kind, outcome, note, happened_at, source, recorded_by, recorded_at, icp_id,
    prediction_id, snapshot_id
)
VALUES (
    :id::uuid, :lead_id::uuid, :kind::text, :outcome::text, :note::text,
    :happened_at::timestamptz, :source::text, :by::text, :now::timestamptz, :icp_id::uuid,
    :prediction_id::uuid, :snapshot_id::uuid
);

-- name: list_labels
-- List the outcomes of leads that are one, newest first; the first of each kind counts.
SELECT
    label.id, label.lead_id, label.kind, label.outcome, label.note, label.happened_at,
    label.source, label.recorded_by, label.recorded_at, label.icp_id, label.prediction_id,
    label.snapshot_id, score.score_milli,
    row_number() OVER (
        PARTITION BY label.kind ORDER BY label.happened_at DESC, label.id DESC) = 1 AS is_current
FROM label LEFT JOIN score_prediction AS score ON score.id = label.prediction_id
WHERE label.lead_id = ANY(:lead_ids::uuid[])
ORDER BY label.happened_at DESC, label.id DESC
LIMIT :limit::int;
