-- fragment: activities
-- The activities that a list asks for, of leads that are there.
SELECT
    activity.id, activity.version, activity.lead_id, activity.kind, activity.detail,
    activity.actor, activity.happened_at, activity.recorded_at, activity.updated_at
FROM activity JOIN lead ON lead.id = activity.lead_id
WHERE lead.deleted_at IS NULL
    AND (:owner::text IS NULL OR lead.owner = :owner::text)
    AND (:kind::text IS NULL OR activity.kind = :kind::text)
    AND (:actor::text IS NULL OR activity.actor = :actor::text)
    AND (:since::timestamptz IS NULL OR activity.happened_at >= :since::timestamptz)
    AND (:before::uuid IS NULL OR activity.id < :before::uuid)

-- name: list_activities
-- List activities, newest recorded first, behind a position.
{activities}
ORDER BY activity.id DESC LIMIT :limit::int;

-- name: list_lead_activities
-- List the activities of a lead and those merged into it, newest recorded first, behind a position.
WITH RECURSIVE family AS (
    SELECT id FROM lead WHERE id = :lead_id::uuid
    UNION ALL
    SELECT lead.id FROM family JOIN lead ON lead.merged_into = family.id
)
{activities}
    AND activity.lead_id = ANY(ARRAY(SELECT id FROM family))
ORDER BY activity.id DESC LIMIT :limit::int;

-- name: record_activity
-- Insert an activity.
INSERT INTO activity (
    id, lead_id, kind, detail, actor, happened_at, recorded_at, updated_at
)
VALUES (
    :id::uuid, :lead_id::uuid, :kind::text, :detail::text, :actor::text,
    :happened_at::timestamptz, :now::timestamptz, :now::timestamptz
);

-- name: lock_activity
-- One activity, before it is changed, with whose its lead is.
SELECT
    activity.id, activity.version, activity.lead_id, activity.kind, activity.detail,
    activity.actor, activity.happened_at, activity.recorded_at, activity.updated_at,
    lead.owner, lead.deleted_at
FROM activity JOIN lead ON lead.id = activity.lead_id
WHERE activity.id = :id::uuid FOR UPDATE OF activity;

-- name: change_activity
-- Write the author's correction of an activity.
UPDATE activity SET
    detail = :detail::text, happened_at = :happened_at::timestamptz,
    updated_at = :now::timestamptz, version = version + 1
WHERE id = :id::uuid;

-- name: delete_activity
-- Delete an activity.
DELETE FROM activity WHERE id = :id::uuid;
