-- name: add_run
-- One discovery per run; starting it twice changes nothing.
INSERT INTO discovery_run (
    id, icp_id, provider, query, state, next_page, next_position, stale_page_count, wanted_count,
    lead_count, discovered_count, duplicate_count, rejected_count, error_count, cost_micros,
    created_at, updated_at, ask_hash, owner
)
VALUES (
    :id::uuid, :icp_id::uuid, :provider::text, :people_query::text, 'RUNNING', 1, 1, 0,
    :wanted_count::int, 0, 0, 0, 0, 0, 0, :now::timestamptz, :now::timestamptz,
    :request_hash::bytea, :owner::text
)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: find_runs
-- Find what the next page of each run needs.
SELECT
    id, icp_id, provider, query, state, cursor, next_page, next_position, stale_page_count,
    wanted_count, lead_count, code, owner
FROM discovery_run WHERE id = ANY(:ids::uuid[]);

-- name: lock_runs
-- The same, locked in order: a page is committed by one transaction only.
SELECT
    id, icp_id, provider, query, state, cursor, next_page, next_position, stale_page_count,
    wanted_count, lead_count, code, owner
FROM discovery_run WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: find_leads_of_runs
-- Which of these leads a run has already.
SELECT run_id, lead_id FROM discovery_record
WHERE lead_id = ANY(:lead_ids::uuid[]) AND run_id = ANY(:run_ids::uuid[]);

-- name: add_records
-- Record the outcome of each record of a page.
INSERT INTO discovery_record (
    run_id, position, page, provider, provider_id, status, reason, lead_id, refused_text,
    recorded_at
)
SELECT
    run_id, position, page, provider, provider_id, status, reason, lead_id, refused_text,
    :now::timestamptz
FROM unnest(
    :run_ids::uuid[], :positions::int[], :pages::int[], :providers::text[], :provider_ids::text[],
    :statuses::text[], :reasons::text[], :lead_ids::uuid[], :excerpts::text[]
) AS seen (run_id, position, page, provider, provider_id, status, reason, lead_id, refused_text);

-- name: advance_runs
-- The next cursor, and the counts of the page, together with its records.
UPDATE discovery_run SET
    state = ended.state, code = ended.code, cursor = ended.cursor, next_page = ended.next_page,
    next_position = discovery_run.next_position + ended.record_count,
    stale_page_count = ended.stale_page_count,
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
    :stale_page_counts::int[], :record_counts::int[], :lead_counts::int[],
    :discovered_counts::int[], :duplicate_counts::int[], :rejected_counts::int[],
    :error_counts::int[], :costs_micros::int8[], :total_counts::int8[]
) AS ended (
    id, state, code, cursor, next_page, stale_page_count, record_count, lead_count,
    discovered_count, duplicate_count, rejected_count, error_count, cost_micros, total_count
)
WHERE discovery_run.id = ended.id;

-- name: find_view
-- A discovery as it is read.
SELECT
    id, icp_id, provider, query, state, code, next_page - 1 AS page_count, wanted_count, lead_count,
    discovered_count, duplicate_count, rejected_count, error_count, cost_micros, total_count,
    ARRAY(
        SELECT page FROM discovery_page
        WHERE run_id = discovery_run.id AND discovery_page.code = :unreadable::text ORDER BY page
    ) AS unreadable_pages,
    created_at, updated_at
FROM discovery_run WHERE id = :id::uuid;

-- name: lock_request
-- Equal requests at the same moment follow one another, on whatever node they arrive.
SELECT pg_advisory_xact_lock(hashtextextended('discovery:' || encode(:request_hash::bytea, 'hex'), 0));

-- name: find_earlier
-- The newest search for the same that still goes on or came to its end; those that failed or met a page that
-- cannot be read do not count.
SELECT discovery_run.id AS run_id, discovery_run.first_job_id AS job_id
FROM discovery_run JOIN run USING (id)
WHERE discovery_run.ask_hash = :request_hash::bytea AND discovery_run.created_at > :since::timestamptz
    AND discovery_run.state IN ('RUNNING', 'COMPLETED') AND run.state <> 'cancelled'
    AND discovery_run.code IS DISTINCT FROM :unreadable::text
    AND discovery_run.first_job_id IS NOT NULL
ORDER BY discovery_run.created_at DESC LIMIT 1;

-- name: record_first_job
-- Which job brings the first page: answered again to whoever asks for the same.
UPDATE discovery_run SET first_job_id = :job_id::uuid WHERE id = :id::uuid;

-- name: add_pages
-- Record the question and the result of each page, once; one that had failed is asked again.
INSERT INTO discovery_page (
    run_id, page, cursor, asked, ignored, next_cursor, record_count, discovered_count,
    duplicate_count, rejected_count, error_count, cost_micros, total_count, code, recorded_at
)
SELECT
    run_id, page, cursor, asked, ignored, next_cursor, record_count, discovered_count,
    duplicate_count, rejected_count, error_count, cost_micros, total_count, code, :now::timestamptz
FROM unnest(
    :run_ids::uuid[], :pages::int[], :cursors::text[], :requests::text[], :ignored_fields::text[],
    :next_cursors::text[], :record_counts::int[], :discovered_counts::int[],
    :duplicate_counts::int[], :rejected_counts::int[], :error_counts::int[],
    :costs_micros::int8[], :total_counts::int8[], :codes::text[]
) AS seen (
    run_id, page, cursor, asked, ignored, next_cursor, record_count, discovered_count,
    duplicate_count, rejected_count, error_count, cost_micros, total_count, code
)
ON CONFLICT (run_id, page) DO UPDATE SET
    cursor = excluded.cursor, asked = excluded.asked, ignored = excluded.ignored,
    next_cursor = excluded.next_cursor, record_count = excluded.record_count,
    discovered_count = excluded.discovered_count, duplicate_count = excluded.duplicate_count,
    rejected_count = excluded.rejected_count, error_count = excluded.error_count,
    cost_micros = excluded.cost_micros, total_count = excluded.total_count, code = excluded.code,
    recorded_at = excluded.recorded_at
WHERE discovery_page.code IS NOT NULL;

-- name: list_pages
-- The pages of a run behind a known one.
SELECT
    page, cursor, asked, ignored, next_cursor, record_count, discovered_count, duplicate_count,
    rejected_count, error_count, cost_micros, total_count, code, recorded_at
FROM discovery_page WHERE run_id = :run_id::uuid AND page > :after::int
ORDER BY page LIMIT :limit::int;

-- name: inspect_records
-- Records behind a known position, with what their source is kept to have said of them.
SELECT
    record.position, record.page, record.provider_id, record.status, record.reason,
    CASE WHEN record.is_shown THEN record.lead_id END AS lead_id, record.refused_text, said.fields,
    said.values
FROM (
    SELECT discovery_record.*, (
        :owner::text IS NULL OR lead_id IS NULL OR EXISTS (
            SELECT FROM lead AS own LEFT JOIN lead AS survivor ON survivor.id = own.merged_into
            WHERE own.id = discovery_record.lead_id
                AND coalesce(survivor.owner, own.owner) = :owner::text
        )
    ) AS is_shown
    FROM discovery_record
    WHERE run_id = :run_id::uuid AND position > :after::int
        AND (:status::text IS NULL OR status = :status::text)
        AND (:page::int IS NULL OR page = :page::int)
    ORDER BY position LIMIT :limit::int
) AS record
LEFT JOIN LATERAL (
    SELECT array_agg(field ORDER BY field) AS fields, array_agg(value ORDER BY field) AS values
    FROM field_value
    WHERE subject_id = record.lead_id AND source = record.provider AND record.is_shown
        AND value IS NOT NULL
) AS said ON true
ORDER BY record.position;

-- name: list_discovery_runs
-- Discovery runs, newest first, behind a place.
SELECT discovery_run.id, discovery_run.icp_id, run.kind, run.title, discovery_run.provider,
       discovery_run.state, run.state AS run_state, discovery_run.code, discovery_run.wanted_count,
       discovery_run.lead_count, discovery_run.created_at, run.ended_at
FROM discovery_run JOIN run USING (id)
WHERE (:before::uuid IS NULL OR discovery_run.id < :before::uuid)
  AND (:icp_ids::uuid[] IS NULL OR discovery_run.icp_id = ANY (:icp_ids::uuid[]))
  AND (:state::text IS NULL OR run.state = :state::text)
  AND (:search_state::text IS NULL OR discovery_run.state = :search_state::text)
  AND (:provider::text IS NULL OR discovery_run.provider = :provider::text)
  AND (:kind::text IS NULL OR run.kind = :kind::text)
ORDER BY discovery_run.id DESC LIMIT :limit::int;
