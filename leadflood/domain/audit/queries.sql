-- name: add_audit_events!
-- Privileged acts, in the transaction that does them.
INSERT INTO audit_event (
    id, at, actor_kind, actor_id, actor, address, request_id, action, subject_kind, subject_id,
    detail
)
SELECT
    id, :now::timestamptz, :actor_kind::text, :actor_id::uuid, :actor::text, :address::text,
    :request_id::text, action, subject_kind, subject_id, detail
FROM unnest(
    :ids::uuid[], :actions::text[], :subject_kinds::text[], :subject_ids::text[], :details::text[]
) AS act (id, action, subject_kind, subject_id, detail)

-- fragment: audit_events
-- Acts, whole.
SELECT id, at, actor_kind, actor_id, actor, address, request_id, action, subject_kind, subject_id,
    detail
FROM audit_event

-- name: list_audit_events
-- The newest acts, by what the other queries of their kind do not name; ids are in order of time.
{audit_events}
WHERE id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_action
-- The newest acts of a kind.
{audit_events}
WHERE action = :action::text AND id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_subject
-- The newest acts on one subject.
{audit_events}
WHERE subject_id = :subject_id::text AND id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:action::text IS NULL OR action = :action::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_actor
-- The newest acts of a user or a key.
{audit_events}
WHERE actor_id = :actor_id::uuid AND id < :before::uuid AND id >= :since::uuid
    AND (:action::text IS NULL OR action = :action::text)
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:subject_id::text IS NULL OR subject_id = :subject_id::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_operator
-- The newest acts of the operator, or of nobody.
{audit_events}
WHERE actor_id IS NULL AND actor_kind = :actor_kind::text
    AND id < :before::uuid AND id >= :since::uuid
    AND (:action::text IS NULL OR action = :action::text)
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:subject_id::text IS NULL OR subject_id = :subject_id::text)
ORDER BY id DESC
LIMIT :limit::int
