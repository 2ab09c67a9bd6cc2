-- name: lock_profile
-- One writer at a time for a name or a profile, so that versions have no gaps and no doubles.
SELECT pg_advisory_xact_lock(hashtextextended('icp:' || :key::text, 0));

-- name: insert_version
-- A version is written once and never changed.
INSERT INTO icp_profile (
    id, profile_id, version, name, offer, autopilot, medium_milli, high_milli, definition,
    content_hash, created_at
)
VALUES (
    :id::uuid, :profile_id::uuid, :version::int, :name::text, :offer::text, :autopilot::boolean,
    :medium_milli::int, :high_milli::int, :definition::text, :content_hash::bytea, :now::timestamptz
);

-- name: insert_rules
-- The rules of a version, all at once.
INSERT INTO qualification_rule (icp_id, position, kind, field, operator, value, weight)
SELECT :icp_id::uuid, rule.position, rule.kind, rule.field, rule.operator, rule.value, rule.weight
FROM unnest(
    :positions::int[], :kinds::text[], :fields::text[], :operators::text[], :values::text[],
    :weights::float8[]
) AS rule (position, kind, field, operator, value, weight)
ORDER BY rule.position;

-- name: find_versions
-- Versions by id, with their rules as JSON in order.
SELECT p.id, p.profile_id, p.version, p.name, p.offer, p.definition, p.created_at,
    (SELECT archived_at FROM icp_archive WHERE profile_id = p.profile_id) AS archived_at,
    (
        SELECT json_agg(json_build_object(
            'kind', r.kind, 'field', r.field, 'operator', r.operator,
            'value', r.value::json, 'weight', r.weight
        ) ORDER BY r.position)::text
        FROM qualification_rule AS r WHERE r.icp_id = p.id
    ) AS rules
FROM icp_profile AS p
WHERE p.id = ANY(:ids::uuid[]);

-- name: find_latest
-- The newest version of a profile.
SELECT id, version, content_hash, EXISTS (
    SELECT FROM icp_archive WHERE icp_archive.profile_id = icp_profile.profile_id
) AS is_archived
FROM icp_profile WHERE profile_id = :profile_id::uuid ORDER BY version DESC LIMIT 1;

-- name: find_by_name
-- The newest profile of that name: what a file that is run again belongs to.
SELECT profile_id FROM icp_profile
WHERE lower(name) = lower(:name::text)
    AND NOT EXISTS (
        SELECT FROM icp_archive WHERE icp_archive.profile_id = icp_profile.profile_id
    )
ORDER BY id DESC LIMIT 1;

-- name: find_profile
-- Which ICP an id means: its own or that of one of its versions.
SELECT profile_id FROM icp_profile WHERE id = :id::uuid OR profile_id = :id::uuid LIMIT 1;

-- name: list_latest
-- The newest version of each profile, newest profile first, by keyset.
SELECT latest.id FROM (
    SELECT DISTINCT ON (profile_id) id, profile_id, name FROM icp_profile
    WHERE (:before::uuid IS NULL OR profile_id < :before::uuid)
    ORDER BY profile_id DESC, version DESC
) AS latest
LEFT JOIN icp_archive USING (profile_id)
WHERE (icp_archive.profile_id IS NOT NULL) = :is_archived::boolean
    AND (:part::text IS NULL OR position(lower(:part::text) IN lower(latest.name)) > 0)
ORDER BY latest.profile_id DESC
LIMIT :limit::int;

-- name: list_versions
-- The versions of a profile below a number, newest first.
SELECT id FROM icp_profile
WHERE profile_id = :profile_id::uuid AND (:before::int IS NULL OR version < :before::int)
ORDER BY version DESC LIMIT :limit::int;

-- name: find_version
-- One version of a profile by its number.
SELECT id FROM icp_profile WHERE profile_id = :profile_id::uuid AND version = :version::int;

-- name: find_ids
-- All versions of a profile: what its runs, scores and messages name.
SELECT id FROM icp_profile WHERE profile_id = :profile_id::uuid;

-- name: find_running_search
-- A run that still searches for any version of a profile.
SELECT discovery_run.id FROM run JOIN discovery_run USING (id)
WHERE run.state = 'running' AND discovery_run.icp_id IN (
    SELECT icp_profile.id FROM icp_profile WHERE profile_id = :profile_id::uuid
)
LIMIT 1;

-- name: archive
-- Archive a profile; its versions stay as they are.
INSERT INTO icp_archive (profile_id, archived_at, archived_by)
VALUES (:profile_id::uuid, :now::timestamptz, :by::text)
ON CONFLICT (profile_id) DO NOTHING
RETURNING profile_id;

-- name: restore
-- Bring an archived profile back.
DELETE FROM icp_archive WHERE profile_id = :profile_id::uuid RETURNING profile_id;
