-- name: add_ends
-- A lead ends once a run: only the first end of a survivor goes on.
INSERT INTO enrichment (run_id, lead_id, state, code, ended_at)
SELECT run_id, lead_id, state, code, :now::timestamptz
FROM unnest(:run_ids::uuid[], :lead_ids::uuid[], :states::text[], :codes::text[])
    WITH ORDINALITY AS row (run_id, lead_id, state, code, position)
ORDER BY position
ON CONFLICT (lead_id, run_id) DO UPDATE SET
    state = excluded.state, code = excluded.code, ended_at = excluded.ended_at
WHERE enrichment.state = 'FAILED' AND excluded.state = 'COMPLETED'
RETURNING run_id, lead_id;

-- name: add_records
-- Which providers were asked for a lead; a job that runs again in its run replaces its rows.
INSERT INTO enrichment_record (
    run_id, lead_id, provider, state, code, is_found, is_cached, cost_micros, asked_at, recorded_at
)
SELECT
    run_id, lead_id, provider, state, code, is_found, is_cached, cost_micros, asked_at,
    :now::timestamptz
FROM unnest(
    :run_ids::uuid[], :lead_ids::uuid[], :providers::text[], :states::text[], :codes::text[],
    :found::bool[], :cached::bool[], :costs_micros::int8[], :asked_at::timestamptz[]
) WITH ORDINALITY AS record (
    run_id, lead_id, provider, state, code, is_found, is_cached, cost_micros, asked_at, position
)
ORDER BY position
ON CONFLICT (lead_id, run_id, provider) DO UPDATE SET
    state = excluded.state, code = excluded.code, is_found = excluded.is_found,
    is_cached = excluded.is_cached,
    cost_micros = greatest(enrichment_record.cost_micros, excluded.cost_micros),
    asked_at = excluded.asked_at, recorded_at = excluded.recorded_at;

-- name: count_fields
-- Which provider fills which field, by day.
INSERT INTO waterfall_stat AS stat (provider, field, day, asked_count, found_count)
SELECT provider, field, :day::date, asked_count, found_count
FROM unnest(:providers::text[], :fields::text[], :asked::int8[], :found::int8[])
    WITH ORDINALITY AS counted (provider, field, asked_count, found_count, position)
ORDER BY position
ON CONFLICT (provider, field, day) DO UPDATE SET
    asked_count = stat.asked_count + excluded.asked_count,
    found_count = stat.found_count + excluded.found_count;

-- name: list_stats
-- How well each provider has filled each field since a day.
SELECT provider, field, sum(asked_count)::int8 AS asked_count, sum(found_count)::int8 AS found_count
FROM waterfall_stat WHERE day >= :since::date
GROUP BY provider, field ORDER BY provider, field;
