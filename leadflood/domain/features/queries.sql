-- name: find_targets
-- The targets of ICP versions.
SELECT id, definition FROM icp_profile WHERE id = ANY(:ids::uuid[]);

-- name: insert_snapshots
-- Equal inputs give the same row; the ids of those that were there are read after this.
INSERT INTO feature_snapshot (
    id, lead_id, icp_id, snapshot_version, source_version, vector_hash, vector, created_at
)
SELECT row.id, row.lead_id, row.icp_id, :snapshot_version::int, row.source_version,
    row.vector_hash, row.vector, :now::timestamptz
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :icp_ids::uuid[], :source_versions::bigint[],
    :vector_hashes::bytea[], :vectors::text[]
) AS row (id, lead_id, icp_id, source_version, vector_hash, vector)
ORDER BY row.lead_id, row.icp_id, row.source_version, row.vector_hash
ON CONFLICT (lead_id, icp_id, snapshot_version, source_version, vector_hash) DO NOTHING;

-- name: find_snapshot_ids
-- The rows of these inputs, whoever wrote them.
SELECT s.id, s.lead_id, s.icp_id, s.source_version, s.vector_hash
FROM unnest(
    :lead_ids::uuid[], :icp_ids::uuid[], :source_versions::bigint[], :vector_hashes::bytea[]
) AS key (lead_id, icp_id, source_version, vector_hash)
JOIN feature_snapshot AS s USING (lead_id, icp_id, source_version, vector_hash)
WHERE s.snapshot_version = :snapshot_version::int;

-- name: find_snapshots
-- Snapshots by id.
SELECT id, lead_id, icp_id, snapshot_version, source_version, vector, created_at
FROM feature_snapshot WHERE id = ANY(:ids::uuid[]);
