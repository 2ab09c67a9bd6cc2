-- name: add_action
-- Insert an action, with its author; an action is undone once.
INSERT INTO bulk_action (
    run_id, action, parameters, filter, item_count, undoes, sees_owner, created_at, created_by
)
VALUES (
    :run_id::uuid, :action::text, :parameters::text, :filter::text, :item_count::int,
    :undoes::uuid, :sees_owner::text, :now::timestamptz, :by::text
)
ON CONFLICT (undoes) DO NOTHING
RETURNING run_id;

-- name: add_items
-- The leads an action is about, fixed when it starts.
INSERT INTO bulk_item (run_id, number, lead_id)
SELECT :run_id::uuid, number, lead_id
FROM unnest(:lead_ids::uuid[]) WITH ORDINALITY AS named (lead_id, number);

-- name: add_undo_items
-- Insert the items of an undo: those that the action has done, under the same numbers.
INSERT INTO bulk_item (run_id, number, lead_id)
SELECT :run_id::uuid, number, lead_id
FROM bulk_item WHERE run_id = :undoes::uuid AND state = 'done';

-- name: count_done
-- How many leads an action has changed, and how far its numbers reach.
SELECT count(*) AS done_count, coalesce(max(number), 0) AS last
FROM bulk_item WHERE run_id = :run_id::uuid AND state = 'done';

-- name: find_actions
-- Actions by their runs.
SELECT
    run_id, action, parameters, filter, item_count, undoes, sees_owner, created_at, created_by
FROM bulk_action WHERE run_id = ANY(:run_ids::uuid[]);

-- name: find_undo
-- The action that undoes another.
SELECT run_id FROM bulk_action WHERE undoes = :run_id::uuid;

-- name: list_waiting
-- List the items of these chunks still to do, or that failed with their chunk, with what the undone action kept of each lead.
SELECT
    item.run_id, item.number, item.lead_id, undone.run_id IS NOT NULL AS is_undo,
    undone.owner_before, undone.tags_before, undone.tags_after, undone.deleted_at_before,
    undone.deleted_by_before, undone.ended_at
FROM unnest(:run_ids::uuid[], :firsts::int[], :lasts::int[]) AS chunk (run_id, first, last)
JOIN bulk_item AS item
    ON item.run_id = chunk.run_id AND item.number BETWEEN chunk.first AND chunk.last
JOIN bulk_action AS action ON action.run_id = item.run_id
LEFT JOIN bulk_item AS undone
    ON undone.run_id = action.undoes AND undone.number = item.number
WHERE item.state IN ('waiting', 'failed')
ORDER BY item.run_id, item.number;

-- name: record_results
-- Record the outcomes of items, and the leads before; tags arrive joined by U+001F.
UPDATE bulk_item SET
    state = ended.state, code = ended.code, owner_before = ended.owner,
    tags_before = string_to_array(ended.tags, chr(31)),
    tags_after = string_to_array(ended.tags_after, chr(31)),
    deleted_at_before = ended.deleted_at, deleted_by_before = ended.deleted_by,
    ended_at = :now::timestamptz
FROM unnest(
    :numbers::int[], :states::text[], :codes::text[], :owners::text[], :tags::text[],
    :tags_afters::text[], :deleted_ats::timestamptz[], :deleted_bys::text[]
) AS ended (number, state, code, owner, tags, tags_after, deleted_at, deleted_by)
WHERE bulk_item.run_id = :run_id::uuid AND bulk_item.number = ended.number
    AND bulk_item.state IN ('waiting', 'failed');

-- name: close_items
-- Chunks that end without having been done.
UPDATE bulk_item SET state = closed.state, code = closed.code, ended_at = :now::timestamptz
FROM unnest(:run_ids::uuid[], :firsts::int[], :lasts::int[], :states::text[], :codes::text[])
    AS closed (run_id, first, last, state, code)
WHERE bulk_item.run_id = closed.run_id
    AND bulk_item.number BETWEEN closed.first AND closed.last AND bulk_item.state = 'waiting';

-- name: count_items
-- How far an action is.
SELECT state, code, count(*) AS item_count
FROM bulk_item WHERE run_id = :run_id::uuid GROUP BY state, code ORDER BY state, code;

-- name: list_problems
-- The first leads that an action was not done for.
SELECT lead_id, state, code FROM bulk_item
WHERE run_id = :run_id::uuid AND state IN ('refused', 'failed')
ORDER BY number
LIMIT :limit::int;
