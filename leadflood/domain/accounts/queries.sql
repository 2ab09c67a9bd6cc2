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
