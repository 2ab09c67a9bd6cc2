-- name: add_run
-- One discovery per run; starting it twice changes nothing.
INSERT INTO discovery_run (
    id, icp_id, provider, query, state, next_page, next_position, wanted_count, lead_count,
    discovered_count, duplicate_count, rejected_count, error_count, cost_micros, created_at,
    updated_at
)
VALUES (
    :id::uuid, :icp_id::uuid, :provider::text, :asked::text, 'RUNNING', 1, 1, :wanted_count::int,
    0, 0, 0, 0, 0, 0, :now::timestamptz, :now::timestamptz
)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: find_runs
-- What the next page of each run needs to know.
SELECT
    id, icp_id, provider, query, state, cursor, next_page, next_position, wanted_count, lead_count
FROM discovery_run WHERE id = ANY(:ids::uuid[]);

-- name: lock_runs
-- The same, locked in order: a page is committed by one transaction only.
SELECT
    id, icp_id, provider, query, state, cursor, next_page, next_position, wanted_count, lead_count
FROM discovery_run WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: find_leads_of_runs
-- Which of these leads a run has already.
SELECT run_id, lead_id FROM discovery_record
WHERE lead_id = ANY(:lead_ids::uuid[]) AND run_id = ANY(:run_ids::uuid[]);

-- name: add_records
-- What became of each record of a page.
INSERT INTO discovery_record (
    run_id, position, page, provider, provider_id, status, reason, lead_id, recorded_at
)
SELECT
    run_id, position, page, provider, provider_id, status, reason, lead_id, :now::timestamptz
FROM unnest(
    :run_ids::uuid[], :positions::int[], :pages::int[], :providers::text[], :provider_ids::text[],
    :statuses::text[], :reasons::text[], :lead_ids::uuid[]
) AS seen (run_id, position, page, provider, provider_id, status, reason, lead_id);

-- name: advance_runs
-- The next cursor, and the counts of the page, together with its records.
UPDATE discovery_run SET
    state = ended.state, code = ended.code, cursor = ended.cursor, next_page = ended.next_page,
    next_position = discovery_run.next_position + ended.record_count,
    lead_count = discovery_run.lead_count + ended.lead_count,
    discovered_count = discovery_run.discovered_count + ended.discovered_count,
    duplicate_count = discovery_run.duplicate_count + ended.duplicate_count,
    rejected_count = discovery_run.rejected_count + ended.rejected_count,
    error_count = discovery_run.error_count + ended.error_count,
    cost_micros = discovery_run.cost_micros + ended.cost_micros,
    total_count = coalesce(ended.total_count, discovery_run.total_count),
    updated_at = :now::timestamptz
FROM unnest(
    :ids::uuid[], :states::text[], :codes::text[], :cursors::text[], :next_pages::int[],
    :record_counts::int[], :lead_counts::int[], :discovered_counts::int[],
    :duplicate_counts::int[], :rejected_counts::int[], :error_counts::int[],
    :costs_micros::int8[], :total_counts::int8[]
) AS ended (
    id, state, code, cursor, next_page, record_count, lead_count, discovered_count,
    duplicate_count, rejected_count, error_count, cost_micros, total_count
)
WHERE discovery_run.id = ended.id;

-- name: find_view
-- A discovery as it is read.
SELECT
    id, icp_id, provider, query, state, code, next_page, wanted_count, lead_count,
    discovered_count, duplicate_count, rejected_count, error_count, cost_micros, total_count,
    created_at, updated_at
FROM discovery_run WHERE id = :id::uuid;

-- name: list_records
-- A page of records behind a known position.
SELECT position, page, provider, provider_id, status, reason, lead_id
FROM discovery_record WHERE run_id = :run_id::uuid AND position > :after::int
ORDER BY position LIMIT :limit::int;
