-- fragment: visible
-- What a reader may see: with the permission, and (an owner is given) of no run that is others'.
permission = ANY(:permissions::text[]) AND (user_id IS NULL OR user_id = :user_id::uuid)
    AND (:owner::text IS NULL OR subject_kind IS DISTINCT FROM 'run' OR EXISTS (
        SELECT FROM run
        WHERE run.id = CASE WHEN subject_kind = 'run' THEN subject_id::uuid END
            AND (run.is_shared OR run.opened_by = :owner::text)))

-- name: lock_position
-- Where the log was read to; the node that holds it writes, the others come again later.
SELECT era, xid::text AS xid, event_id, looked_at FROM notification_watch FOR UPDATE SKIP LOCKED;

-- name: has_position
-- Whether there is a position.
SELECT true FROM notification_watch;

-- name: start_at_end
-- Start at the end of the log: nobody waits for what happened before.
INSERT INTO notification_watch (era, xid, event_id, looked_at)
SELECT coalesce((SELECT era FROM installation), 1), pg_snapshot_xmin(pg_current_snapshot()),
    :event_id::uuid, :now::timestamptz
ON CONFLICT (only_row) DO NOTHING;

-- name: find_head
-- The end of the log: nothing can appear before it any more.
SELECT coalesce((SELECT era FROM installation), 1) AS era,
    pg_snapshot_xmin(pg_current_snapshot())::text AS xid;

-- name: read_log
-- The events that become notifications, in the order of the log.
SELECT era, xid::text AS xid, id, at, run_id, type, payload FROM event
WHERE (era, xid, id) > (:era::int, :xid::text::xid8, :id::uuid) AND xid < :head::text::xid8
    AND type = ANY(:types::text[])
ORDER BY event.era, event.xid, event.id LIMIT :limit::int;

-- name: record_position
-- The log is read up to here.
UPDATE notification_watch SET
    era = :era::int, xid = :xid::text::xid8, event_id = :id::uuid, looked_at = :now::timestamptz;

-- name: find_runs
-- The facts of runs, counted in full.
SELECT run.id AS run_id, run.kind, run.title,
    coalesce((SELECT lead_count FROM discovery_run WHERE discovery_run.id = run.id), 0)
        + (SELECT count(*) FROM import_row WHERE run_id = run.id AND lead_id IS NOT NULL)
        AS lead_count,
    (SELECT count(*) FROM (
        SELECT DISTINCT ON (lead_id) score.band
        FROM score_prediction AS score JOIN lead ON lead.id = lead_id
        WHERE score.run_id = run.id AND lead.merged_into IS NULL
        ORDER BY lead_id, source_version DESC, score.id DESC
    ) AS newest WHERE newest.band = 'HIGH') AS high_count,
    (SELECT count(*) FROM message WHERE run_id = run.id AND message.state = 'waiting')
        AS waiting_count,
    (SELECT count(*) FROM discovery_record JOIN enrichment USING (lead_id, run_id)
     WHERE run_id = run.id AND enrichment.code = 'budget.exhausted')
    + (SELECT count(*) FROM import_row JOIN enrichment USING (lead_id, run_id)
       WHERE run_id = run.id AND enrichment.code = 'budget.exhausted') AS exhausted_count,
    (SELECT count(*) FROM intent
     WHERE run_id = run.id AND state = 'ready' AND intent.code = 'waits_for_money')
        AS unpaid_count,
    (SELECT count(*) FROM intent
     WHERE run_id = run.id AND state = 'ready' AND intent.code = 'waits_for_setup')
        AS unset_count
FROM run WHERE run.id = ANY(:ids::uuid[]);

-- name: find_names
-- The names of runs that go on, and whether their drafts wait.
SELECT run.id AS run_id, run.kind, run.title, 0::bigint AS lead_count, 0::bigint AS high_count,
    EXISTS (
        SELECT FROM message WHERE run_id = run.id AND message.state = 'waiting'
    )::int::bigint AS waiting_count,
    0::bigint AS exhausted_count, 0::bigint AS unpaid_count, 0::bigint AS unset_count
FROM run WHERE run.id = ANY(:ids::uuid[]);

-- name: find_dead
-- Jobs that died lately, by stage, cause and run.
SELECT stage, error_code, run_id, count(*) AS count, max(died_at) AS died_at FROM dead_letter
WHERE died_at > :since::timestamptz AND stage = ANY(:stages::text[])
GROUP BY stage, error_code, run_id ORDER BY stage, error_code, run_id LIMIT 100;

-- name: find_dead_stages
-- The stages whose jobs have died, whenever: a step of the index each, however many have.
WITH RECURSIVE named AS (
    (SELECT stage FROM dead_letter ORDER BY stage LIMIT 1)
    UNION ALL
    SELECT (SELECT stage FROM dead_letter WHERE stage > named.stage ORDER BY stage LIMIT 1)
    FROM named WHERE named.stage IS NOT NULL
)
SELECT stage FROM named WHERE stage IS NOT NULL;

-- name: find_hold
-- Sending, where the guard holds it.
SELECT reason, changed_at FROM switch
WHERE name = 'sending' AND state = 'held' AND by_whom = 'guard' AND changed_at > :since::timestamptz;

-- name: find_created_keys
-- API keys made lately.
SELECT id, user_id, name, expires_at FROM api_key WHERE created_at > :since::timestamptz LIMIT 1000;

-- name: find_factor_changes
-- Acts on second factors lately, with whose they are.
SELECT id, subject_id::uuid AS user_id, action FROM audit_event
WHERE action = ANY(:actions::text[]) AND at > :since::timestamptz
ORDER BY id DESC LIMIT 1000;

-- name: find_budgets
-- Caps over all providers with what is used of them.
SELECT scope, cap_micros, spent_micros + reserved_micros AS used_micros FROM budget
WHERE scope = ANY(:scopes::text[]) AND cap_micros > 0;

-- name: add_notifications
-- Store each key once, whichever node noticed it.
INSERT INTO notification (
    id, key, kind, permission, user_id, title, body, subject_kind, subject_id, created_at
)
SELECT id, key, kind, permission, user_id, title, body, nullif(subject_kind, ''),
    nullif(subject_id, ''), :now::timestamptz
FROM unnest(
    :ids::uuid[], :keys::text[], :kinds::text[], :permissions::text[], :user_ids::uuid[],
    :titles::text[], :bodies::text[], :subject_kinds::text[], :subject_ids::text[]
) AS row (id, key, kind, permission, user_id, title, body, subject_kind, subject_id)
ORDER BY key
ON CONFLICT (key) DO NOTHING
RETURNING id;

-- name: list_notifications
-- The notifications of a reader, newest first, with their marks.
SELECT * FROM (
    SELECT notification.id, kind, title, body, subject_kind, subject_id,
        user_id IS NOT NULL AS for_me, created_at,
        notification.id <= coalesce((
            SELECT up_to FROM notification_seen WHERE reader = :reader::text
        ), '00000000-0000-0000-0000-000000000000'::uuid)
        OR EXISTS (
            SELECT FROM notification_read
            WHERE reader = :reader::text AND notification_id = notification.id
        ) AS is_read
    FROM notification
    WHERE notification.id < :before::uuid AND {visible}
) AS marked
WHERE NOT (:only_unread::boolean AND is_read)
ORDER BY id DESC LIMIT :limit::int;

-- name: count_unread
-- How many a reader has not read, up to a bound.
SELECT count(*) FROM (
    SELECT FROM notification
    WHERE {visible}
        AND id > coalesce((
            SELECT up_to FROM notification_seen WHERE reader = :reader::text
        ), '00000000-0000-0000-0000-000000000000'::uuid)
        AND NOT EXISTS (
            SELECT FROM notification_read
            WHERE reader = :reader::text AND notification_id = notification.id
        )
    LIMIT :bound::int
) AS unread;

-- name: find_visible
-- One notification, if a reader may see it.
SELECT id FROM notification
WHERE id = :id::uuid AND {visible};

-- name: mark_read
-- A second mark changes nothing.
INSERT INTO notification_read (reader, notification_id, read_at)
VALUES (:reader::text, :id::uuid, :now::timestamptz) ON CONFLICT DO NOTHING;

-- name: mark_seen
-- All up to one are read; the mark never goes back.
INSERT INTO notification_seen (reader, up_to, seen_at)
VALUES (:reader::text, :up_to::uuid, :now::timestamptz)
ON CONFLICT (reader) DO UPDATE SET
    up_to = GREATEST(notification_seen.up_to, excluded.up_to), seen_at = excluded.seen_at;

-- name: drop_marks
-- A notification that the mark of all covers needs none of its own.
DELETE FROM notification_read WHERE reader = :reader::text AND notification_id <= :up_to::uuid;

-- name: prune
-- Delete notifications past their time, up to a limit; their marks go with them.
DELETE FROM notification WHERE id = ANY(ARRAY(
    SELECT id FROM notification WHERE id < :before::uuid ORDER BY id LIMIT :limit::int
));
