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
SELECT id, version, content_hash FROM icp_profile
WHERE profile_id = :profile_id::uuid ORDER BY version DESC LIMIT 1;

-- name: find_by_name
-- The newest profile of that name: what a file that is run again belongs to.
SELECT profile_id FROM icp_profile
WHERE lower(name) = lower(:name::text) ORDER BY id DESC LIMIT 1;

-- name: list_latest
-- The newest version of each profile, newest profile first, by keyset.
SELECT DISTINCT ON (profile_id) id FROM icp_profile
WHERE (:before::uuid IS NULL OR profile_id < :before::uuid)
ORDER BY profile_id DESC, version DESC
LIMIT :limit::int;
