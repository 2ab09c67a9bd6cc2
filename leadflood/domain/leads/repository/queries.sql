-- name: claim_keys
-- A key belongs to whoever wrote it first; keys arrive sorted, so two writers never wait in a ring.
INSERT INTO identity (kind, value, lead_id)
SELECT kind, value, lead_id
FROM unnest(:kinds::text[], :values::text[], :lead_ids::uuid[])
    WITH ORDINALITY AS input (kind, value, lead_id, place)
ORDER BY place
ON CONFLICT (kind, value) DO NOTHING
RETURNING kind, value;

-- name: find_holders
-- The holder of each key after claiming: the lead itself or the one that came first.
SELECT identity.kind, identity.value, identity.lead_id
FROM unnest(:kinds::text[], :values::text[]) AS input (kind, value)
JOIN identity ON identity.kind = input.kind AND identity.value = input.value;

-- name: share_keys
-- Further bearers of keys that others hold.
INSERT INTO shared_identity (kind, value, lead_id)
SELECT kind, value, lead_id
FROM unnest(:kinds::text[], :values::text[], :lead_ids::uuid[])
    WITH ORDINALITY AS input (kind, value, lead_id, place)
ORDER BY place
ON CONFLICT (kind, value, lead_id) DO NOTHING
RETURNING kind, value, lead_id;

-- name: stop_sharing
-- These leads bear these keys no more.
DELETE FROM shared_identity
USING unnest(:kinds::text[], :values::text[], :lead_ids::uuid[]) AS input (kind, value, lead_id)
WHERE shared_identity.kind = input.kind AND shared_identity.value = input.value
    AND shared_identity.lead_id = input.lead_id;

-- name: stop_sharing_of_leads
-- These leads share no key any more.
DELETE FROM shared_identity WHERE lead_id = ANY(:lead_ids::uuid[]);

-- name: hand_down_keys
-- Keys that their holder has given up are the oldest other bearer's.
WITH heir AS (
    SELECT DISTINCT ON (shared.kind, shared.value) shared.kind, shared.value, shared.lead_id
    FROM unnest(:kinds::text[], :values::text[]) AS input (kind, value)
    JOIN shared_identity AS shared
        ON shared.kind = input.kind AND shared.value = input.value
    ORDER BY shared.kind, shared.value, shared.lead_id
), handed AS (
    DELETE FROM shared_identity AS shared USING heir
    WHERE shared.kind = heir.kind AND shared.value = heir.value
        AND shared.lead_id = heir.lead_id
)
INSERT INTO identity (kind, value, lead_id)
SELECT kind, value, lead_id FROM heir ORDER BY kind, value;

-- name: find_bearers
-- The leads that bear keys; of a key that many share the oldest.
SELECT identity.lead_id
FROM unnest(:kinds::text[], :values::text[]) AS input (kind, value)
JOIN identity ON identity.kind = input.kind AND identity.value = input.value
UNION
SELECT shared.lead_id
FROM unnest(:kinds::text[], :values::text[]) AS input (kind, value)
CROSS JOIN LATERAL (
    SELECT lead_id FROM shared_identity
    WHERE shared_identity.kind = input.kind AND shared_identity.value = input.value
    ORDER BY lead_id LIMIT :most::int
) AS shared;

-- name: find_keys_of_leads
-- All keys that leads bear.
SELECT lead_id, kind, value FROM identity WHERE lead_id = ANY(:lead_ids::uuid[])
UNION ALL
SELECT lead_id, kind, value FROM shared_identity WHERE lead_id = ANY(:lead_ids::uuid[]);

-- name: find_names
-- What leads are called, and which leads a person has told them apart from.
SELECT id, full_name, company_name, kept_apart FROM lead WHERE id = ANY(:lead_ids::uuid[]);

-- name: assign_keys
-- A person who turned out to be a known lead gives that lead their new keys.
UPDATE identity SET lead_id = input.lead_id
FROM unnest(:kinds::text[], :values::text[], :lead_ids::uuid[]) AS input (kind, value, lead_id)
WHERE identity.kind = input.kind AND identity.value = input.value;

-- name: add_companies
-- A company is its registrable domain; its id follows from it, so no second look is needed.
INSERT INTO company (id, domain, name, created_at)
SELECT id, domain, name, :now::timestamptz
FROM unnest(:ids::uuid[], :domains::text[], :names::text[])
    WITH ORDINALITY AS input (id, domain, name, place)
ORDER BY place
ON CONFLICT DO NOTHING;

-- name: add_leads
-- New leads, with the company known at once, what lists show of them and the words that find them.
-- Tags arrive joined by U+001F, which no tag holds.
WITH input AS (
    SELECT * FROM unnest(
        :ids::uuid[], :statuses::text[], :sources::text[], :company_ids::uuid[],
        :company_ranks::float8[], :full_names::text[], :titles::text[], :emails::text[],
        :company_names::text[], :countries::text[], :sort_names::text[], :words::text[],
        :owners::text[], :tags::text[]
    ) AS input (
        id, status, source, company_id, company_rank, full_name, title, email, company_name,
        country, sort_name, words, owner, tags
    )
), added AS (
    INSERT INTO lead (
        id, status, source, company_id, company_rank, full_name, title, email, company_name,
        country, sort_name, owner, tags, created_at, updated_at
    )
    SELECT
        id, status, source, company_id, company_rank, full_name, title, email, company_name,
        country, sort_name, owner, string_to_array(tags, chr(31)), :now::timestamptz,
        :now::timestamptz
    FROM input
), unsearched AS (
    INSERT INTO unsearched_lead (lead_id) SELECT id FROM input
)
INSERT INTO lead_text (lead_id, words)
SELECT id, array_to_tsvector(array_remove(string_to_array(words, ' '), '')) FROM input;

-- name: mark_before_locks
-- Locks taken after this can be released without losing what was written before.
SAVEPOINT before_locks;

-- name: release_locks
-- Release the locks taken since the mark.
ROLLBACK TO SAVEPOINT before_locks;

-- name: lock_leads
-- Locked in the order of their ids, before anything of them is changed.
SELECT id, merged_into, kept_apart, company_id
FROM lead WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: find_survivors
-- Resolve leads: merges followed to the end.
WITH RECURSIVE chain AS (
    SELECT id AS start, id, merged_into FROM lead WHERE id = ANY(:ids::uuid[])
    UNION ALL
    SELECT chain.start, lead.id, lead.merged_into
    FROM chain JOIN lead ON lead.id = chain.merged_into
)
SELECT start, id FROM chain WHERE merged_into IS NULL;

-- name: merge_leads
-- The younger points to the older; whoever was merged meanwhile is left alone. Who turns out to be
-- somebody deleted is deleted too.
UPDATE lead SET
    merged_into = merged.into_id, merge_reason = merged.reason, merged_by = :by::text,
    merged_at = :now::timestamptz, updated_at = :now::timestamptz, version = lead.version + 1,
    deleted_at = coalesce(lead.deleted_at, survivor.deleted_at),
    deleted_by = coalesce(lead.deleted_by, survivor.deleted_by)
FROM unnest(:ids::uuid[], :into_ids::uuid[], :reasons::text[]) AS merged (id, into_id, reason)
JOIN lead AS survivor ON survivor.id = merged.into_id
WHERE lead.id = merged.id AND lead.merged_into IS NULL;

-- name: unmerge_lead
-- Undo clears the pointer and remembers that these two are different people.
UPDATE lead SET
    kept_apart = array_append(kept_apart, merged_into), merged_into = NULL, merge_reason = NULL,
    merged_by = NULL, merged_at = NULL, updated_at = :now::timestamptz, version = version + 1
WHERE id = :id::uuid AND merged_into IS NOT NULL
RETURNING kept_apart;

-- name: add_values
-- One piece of evidence says one thing of a field; seeing it again only makes it fresher.
INSERT INTO field_value (
    subject_id, field, source, method, evidence_hash, id, lead_id, company_id, value, observed_at,
    recorded_at, confidence, cost_micros, rank, is_human
)
SELECT
    coalesce(lead_id, company_id), field, source, method, evidence_hash, id, lead_id, company_id,
    value, observed_at, :now::timestamptz, confidence, cost_micros, rank, is_human
FROM unnest(
    :ids::uuid[], :places::int4[], string_to_array(:fields::text, chr(31)),
    string_to_array(:values::text, chr(31)), :costs_micros::int8[], :ranks::float8[]
) WITH ORDINALITY AS input (id, place, field, value, cost_micros, rank, number)
JOIN unnest(
    :lead_ids::uuid[], :company_ids::uuid[], :sources::text[], :methods::text[],
    :evidence::bytea[], :observed_at::timestamptz[], :confidences::float8[], :humans::bool[]
) WITH ORDINALITY AS statement (
    lead_id, company_id, source, method, evidence_hash, observed_at, confidence, is_human, row
) ON statement.row = input.place + 1
ORDER BY input.number
ON CONFLICT (subject_id, field, source, method, evidence_hash) DO UPDATE SET
    value = excluded.value, observed_at = excluded.observed_at, confidence = excluded.confidence,
    rank = excluded.rank, recorded_at = excluded.recorded_at
WHERE field_value.observed_at < excluded.observed_at;

-- name: update_leads
-- Write a commit's changes of its leads: state, and company if a better one is known.
UPDATE lead SET
    status = coalesce(input.status, lead.status),
    failed_code = CASE WHEN input.status IS NULL THEN lead.failed_code ELSE input.failed_code END,
    company_id = CASE
        WHEN input.company_rank >= coalesce(lead.company_rank, '-infinity') THEN input.company_id
        ELSE lead.company_id
    END,
    company_rank = greatest(lead.company_rank, input.company_rank),
    updated_at = :now::timestamptz, version = lead.version + 1
FROM unnest(
    :ids::uuid[], :statuses::text[], :failed_codes::text[], :company_ids::uuid[],
    :company_ranks::float8[]
) AS input (id, status, failed_code, company_id, company_rank)
WHERE lead.id = input.id;

-- name: find_members
-- All leads that are one with each of these: up to the survivor, then down to all merged into it.
WITH RECURSIVE up AS (
    SELECT id AS start, id, merged_into FROM lead WHERE id = ANY(:ids::uuid[])
    UNION ALL
    SELECT up.start, lead.id, lead.merged_into FROM up JOIN lead ON lead.id = up.merged_into
), down AS (
    SELECT start, id AS survivor, id FROM up WHERE merged_into IS NULL
    UNION ALL
    SELECT down.start, down.survivor, lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT
    down.start, down.survivor, lead.id, lead.version, lead.status, lead.failed_code,
    lead.company_id, lead.company_rank, lead.deleted_at
FROM down JOIN lead ON lead.id = down.id
ORDER BY lead.id;

-- name: find_values
-- List the values of leads and companies; the reader picks the winners, by column place.
SELECT
    subject_id, field, is_human, rank, evidence_hash, value, id, source, method, observed_at,
    confidence
FROM field_value WHERE subject_id = ANY(:subject_ids::uuid[]);

-- name: find_provider_ids
-- List the providers' ids of these leads.
SELECT lead_id, kind, value FROM identity
WHERE lead_id = ANY(:lead_ids::uuid[]) AND kind LIKE 'provider:%'
UNION ALL
SELECT lead_id, kind, value FROM shared_identity
WHERE lead_id = ANY(:lead_ids::uuid[]) AND kind LIKE 'provider:%'
ORDER BY lead_id, kind, value;

-- name: find_views
-- All that is known of leads in one look, as rows of three kinds: 1 who is one with them, 2 what
-- was ever said of them and their companies, 3 their keys. Arrays keep each part on its index.
WITH RECURSIVE up AS (
    SELECT id AS start, id, merged_into, deleted_at FROM lead WHERE id = ANY(:ids::uuid[])
    UNION ALL
    SELECT up.start, lead.id, lead.merged_into, lead.deleted_at
    FROM up JOIN lead ON lead.id = up.merged_into
), down AS (
    SELECT start, id AS survivor, id FROM up WHERE merged_into IS NULL AND deleted_at IS NULL
    UNION ALL
    SELECT down.start, down.survivor, lead.id FROM down JOIN lead ON lead.merged_into = down.id
), member AS MATERIALIZED (
    SELECT
        down.start, down.survivor, lead.id, lead.version, lead.status, lead.failed_code,
        lead.company_id, lead.company_rank, lead.source, lead.owner, lead.merged_into,
        lead.merge_reason, lead.merged_by, lead.merged_at, lead.created_at, lead.updated_at,
        lead.tags
    FROM down JOIN lead ON lead.id = down.id
)
SELECT 1 AS part, ROW(
    start, survivor, id, version, status, failed_code, company_id, company_rank, source, owner,
    merged_into, merge_reason, merged_by, merged_at, created_at, updated_at, tags
) AS content
FROM member
UNION ALL
SELECT 2, ROW(
    subject_id, field, is_human, rank, evidence_hash, value, id, source, method, observed_at,
    confidence, recorded_at, cost_micros, lead_id, company_id
)
FROM field_value
WHERE subject_id = ANY(ARRAY(SELECT id FROM member UNION SELECT company_id FROM member))
UNION ALL
SELECT 3, ROW(lead_id, kind, value)
FROM identity WHERE lead_id = ANY(ARRAY(SELECT id FROM member))
UNION ALL
SELECT 3, ROW(lead_id, kind, value)
FROM shared_identity WHERE lead_id = ANY(ARRAY(SELECT id FROM member));

-- name: list_failed
-- Which of these leads have failed.
SELECT id FROM lead WHERE id = ANY(:ids::uuid[]) AND status = 'failed' ORDER BY id;

-- name: update_status
-- How leads stand now.
UPDATE lead SET
    status = input.status, failed_code = input.failed_code, updated_at = :now::timestamptz,
    version = lead.version + 1
FROM unnest(:ids::uuid[], :statuses::text[], :failed_codes::text[])
    AS input (id, status, failed_code)
WHERE lead.id = input.id;

-- name: add_activity
-- Insert an activity: a person's change of a lead beside the values.
INSERT INTO activity (id, lead_id, kind, detail, actor, happened_at)
VALUES (
    :id::uuid, :lead_id::uuid, :kind::text, :detail::text, :actor::text, :now::timestamptz
);

-- name: find_deleted
-- Which of these leads somebody has deleted.
SELECT id FROM lead WHERE id = ANY(:ids::uuid[]) AND deleted_at IS NOT NULL;

-- name: list_deleted
-- List deleted leads, last first, behind a position.
SELECT
    id, version, full_name, email, company_name, owner, tags, deleted_at, deleted_by
FROM lead
WHERE deleted_at IS NOT NULL AND merged_into IS NULL
    AND (:at::timestamptz IS NULL OR (deleted_at, id) < (:at::timestamptz, :id::uuid))
    AND (:owner::text IS NULL OR owner = :owner::text)
ORDER BY deleted_at DESC, id DESC
LIMIT :limit::int;

-- name: lock_states
-- Locked in the order of their ids: what people change of leads.
SELECT id, version, owner, tags, deleted_at, deleted_by, merged_into
FROM lead WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: find_states
-- Find the states of leads as people change them.
SELECT id, version, owner, tags, deleted_at, deleted_by, merged_into
FROM lead WHERE id = ANY(:ids::uuid[]);

-- name: find_score_icp
-- Which ICP version the score shown is for, or the one that is on its way.
SELECT coalesce(score_icp_id, (
    SELECT (event.payload::jsonb ->> 'icp_id')::uuid FROM event
    WHERE event.subject = lead.id AND event.payload::jsonb ->> 'icp_id' IS NOT NULL
    ORDER BY event.id DESC LIMIT 1
)) FROM lead WHERE id = :id::uuid;

-- name: write_states
-- Write the states of leads; tags arrive joined by U+001F, which no tag holds.
UPDATE lead SET
    owner = input.owner, tags = string_to_array(input.tags, chr(31)),
    deleted_at = input.deleted_at, deleted_by = input.deleted_by,
    updated_at = :now::timestamptz, version = lead.version + 1
FROM unnest(
    :ids::uuid[], :owners::text[], :tags::text[], :deleted_ats::timestamptz[],
    :deleted_bys::text[]
) AS input (id, owner, tags, deleted_at, deleted_by)
WHERE lead.id = input.id;

-- name: raise_versions
-- Leads that are shown otherwise since, though their rows say the same.
UPDATE lead SET updated_at = :now::timestamptz, version = version + 1
WHERE id = ANY(:ids::uuid[])
RETURNING id, version;

-- name: delete_with_survivors
-- Delete or restore leads together with those merged into them.
WITH RECURSIVE down AS (
    SELECT id, deleted_at, deleted_by FROM lead WHERE id = ANY(:ids::uuid[])
    UNION ALL
    SELECT lead.id, down.deleted_at, down.deleted_by
    FROM down JOIN lead ON lead.merged_into = down.id
)
UPDATE lead SET
    deleted_at = down.deleted_at, deleted_by = down.deleted_by,
    updated_at = :now::timestamptz, version = lead.version + 1
FROM down
WHERE lead.id = down.id AND lead.deleted_at IS DISTINCT FROM down.deleted_at;

-- name: take_unsearched
-- Leads whose duplicates have not been looked for since they changed.
-- Taken in a short transaction, so that nobody who changes them waits for the search; those of a
-- search that died are taken again.
UPDATE unsearched_lead SET taken_at = :now::timestamptz
WHERE lead_id = ANY(ARRAY(
    SELECT lead_id FROM unsearched_lead
    WHERE taken_at IS NULL OR taken_at < :stale::timestamptz
    ORDER BY lead_id LIMIT :limit::int FOR UPDATE SKIP LOCKED
))
RETURNING lead_id;

-- name: record_searched
-- They are searched, but for those that changed meanwhile.
DELETE FROM unsearched_lead
WHERE lead_id = ANY(:ids::uuid[]) AND taken_at = :taken_at::timestamptz;

-- name: keep_from_going
-- Leads stay while something that names them is written; who is going is not waited for.
SELECT id FROM lead WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR KEY SHARE SKIP LOCKED;

-- name: wait_and_keep
-- As keep_from_going, for leads none of which may be passed over: it waits for who is going.
SELECT id FROM lead WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR KEY SHARE;

-- name: keep_apart
-- A person says that two leads are others.
UPDATE lead SET
    kept_apart = array_append(kept_apart, other_id), updated_at = :now::timestamptz,
    version = version + 1
FROM unnest(:ids::uuid[], :other_ids::uuid[]) AS pair (id, other_id)
WHERE lead.id = pair.id AND other_id <> ALL(kept_apart);

-- name: add_empty_values
-- A person's word that there is no value is evidence like any other.
INSERT INTO field_value (
    subject_id, field, source, method, evidence_hash, id, lead_id, value, observed_at,
    recorded_at, confidence, cost_micros, rank, is_human
)
SELECT
    :lead_id::uuid, field, :source::text, :method::text, :evidence::bytea, id, :lead_id::uuid,
    'null', :now::timestamptz, :now::timestamptz, 1, 0, rank, true
FROM unnest(:ids::uuid[], :fields::text[], :ranks::float8[]) AS input (id, field, rank);

-- name: release_keys
-- Keys that leads give up.
DELETE FROM identity
USING unnest(:kinds::text[], :values::text[], :lead_ids::uuid[]) AS input (kind, value, lead_id)
WHERE identity.kind = input.kind AND identity.value = input.value
    AND identity.lead_id = input.lead_id
RETURNING identity.kind, identity.value;

-- name: release_keys_of_leads
-- All keys of leads that go.
DELETE FROM identity WHERE lead_id = ANY(:lead_ids::uuid[]) RETURNING kind, value;

-- name: add_tags
-- Every tag ever given, so that they can be listed without reading all leads.
INSERT INTO tag (name, created_at, created_by)
SELECT name, :now::timestamptz, :by::text FROM unnest(:names::text[]) AS name ORDER BY name
ON CONFLICT (name) DO NOTHING;

-- name: list_tags
-- Tags in the order of the alphabet, each with how many leads have it, up to a bound.
SELECT tag.name, counted.lead_count
FROM tag CROSS JOIN LATERAL (
    SELECT count(*) AS lead_count FROM (
        SELECT FROM lead
        WHERE lead.tags @> ARRAY[tag.name] AND lead.tags <> '{}'
            AND lead.merged_into IS NULL AND lead.deleted_at IS NULL
            AND (:owner::text IS NULL OR lead.owner = :owner::text)
        LIMIT :bound::int
    ) AS bounded
) AS counted
WHERE counted.lead_count > 0
ORDER BY tag.name
LIMIT :limit::int;

-- name: find_list_columns
-- List the values of list fields, of survivors and all that are merged into them.
WITH RECURSIVE down AS (
    SELECT id AS survivor, id FROM lead WHERE id = ANY(:ids::uuid[]) AND merged_into IS NULL
    UNION ALL
    SELECT down.survivor, lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT
    down.survivor, field_value.field, field_value.is_human, field_value.rank,
    field_value.observed_at, field_value.evidence_hash, field_value.value
FROM down LEFT JOIN field_value
    ON field_value.subject_id = down.id AND field_value.field = ANY(:fields::text[]);

-- name: update_list_columns
-- Write the list columns of leads; rows that are right already stay as they are.
WITH input AS (
    SELECT * FROM unnest(
        :ids::uuid[], :full_names::text[], :titles::text[], :emails::text[],
        :company_names::text[], :countries::text[], :sort_names::text[], :words::text[]
    ) AS input (id, full_name, title, email, company_name, country, sort_name, words)
), shown AS (
    UPDATE lead SET
        full_name = input.full_name, title = input.title, email = input.email,
        company_name = input.company_name, country = input.country, sort_name = input.sort_name
    FROM input
    WHERE lead.id = input.id
        AND (
            lead.full_name, lead.title, lead.email, lead.company_name, lead.country, lead.sort_name
        ) IS DISTINCT FROM (
            input.full_name, input.title, input.email, input.company_name, input.country,
            input.sort_name
        )
), unsearched AS (
    INSERT INTO unsearched_lead (lead_id) SELECT id FROM input ORDER BY id
    ON CONFLICT (lead_id) DO UPDATE SET taken_at = NULL
    WHERE unsearched_lead.taken_at IS NOT NULL
)
INSERT INTO lead_text (lead_id, words)
SELECT id, array_to_tsvector(array_remove(string_to_array(words, ' '), '')) FROM input
ON CONFLICT (lead_id) DO UPDATE SET words = excluded.words
WHERE lead_text.words IS DISTINCT FROM excluded.words;

-- name: update_scores
-- The newest score of a lead stands in its row; one of an older version of the lead that comes late
-- changes nothing.
UPDATE lead SET
    score_id = input.score_id, scored_version = input.source_version, score_milli = input.score_milli, band = input.band,
    score_icp_id = input.icp_id, score_run_id = input.run_id, scored_at = input.scored_at
FROM unnest(
    :ids::uuid[], :score_ids::uuid[], :source_versions::bigint[], :scores_milli::int[], :bands::text[], :icp_ids::uuid[],
    :run_ids::uuid[], :scored_ats::timestamptz[]
) AS input (id, score_id, source_version, score_milli, band, icp_id, run_id, scored_at)
WHERE lead.id = input.id AND (
    lead.score_id IS NULL
    OR (lead.scored_version, lead.score_id) < (input.source_version, input.score_id)
);

-- name: list_ids
-- Leads by their age, behind one.
SELECT id FROM lead WHERE id > :after::uuid ORDER BY id LIMIT :limit::int;

-- name: list_company_values
-- Everything ever said of companies.
SELECT
    subject_id, field, is_human, rank, evidence_hash, value, id, source, method, observed_at,
    confidence, recorded_at, cost_micros, lead_id, company_id
FROM field_value WHERE subject_id = ANY(:ids::uuid[]);

-- name: delete_company_values
-- Delete the values of a deleted company.
DELETE FROM field_value WHERE subject_id = :id::uuid;

-- name: lock_keys_of_leads
-- Keys before leads: the order in which everybody locks.
SELECT kind, value, lead_id FROM identity
WHERE lead_id = ANY(:lead_ids::uuid[]) ORDER BY kind, value FOR UPDATE;

-- name: lock_leads_to_undo
-- The leads of an undo, in the order of their ids.
SELECT id, version FROM lead WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR UPDATE;

-- name: drop_imported_values
-- Delete values by the evidence of the rows they came from, which is one row's alone. Arrays
-- and no join: the primary key is used whatever the planner knows of the table.
DELETE FROM field_value
WHERE subject_id = ANY(:subject_ids::uuid[]) AND source = :source::text
    AND starts_with(method, :method::text) AND evidence_hash = ANY(:evidence::bytea[])
RETURNING lead_id, field;

-- name: drop_values_of_leads
-- Everything said of leads that go.
DELETE FROM field_value WHERE subject_id = ANY(:lead_ids::uuid[]);

-- name: drop_leads
-- Leads that an import made and nobody else has to do with; locked in the order of their ids, as by
-- those who keep leads from going.
DELETE FROM lead
USING (SELECT id FROM lead WHERE id = ANY(:lead_ids::uuid[]) ORDER BY id FOR UPDATE) AS going
WHERE lead.id = going.id RETURNING lead.id, lead.version;

-- name: touch_undone
-- Leads that lost what a file said: their employer is again the best that is left, their
-- tags are those that the file did not give.
UPDATE lead SET
    company_id = CASE WHEN given.lost_domain THEN best.company_id ELSE lead.company_id END,
    company_rank = CASE WHEN given.lost_domain THEN best.rank ELSE lead.company_rank END,
    tags = ARRAY(
        SELECT tag FROM unnest(lead.tags) WITH ORDINALITY AS kept (tag, place)
        WHERE tag <> ALL(string_to_array(given.tags, chr(30))) ORDER BY place
    ),
    updated_at = :now::timestamptz, version = lead.version + 1
FROM unnest(:ids::uuid[], :lost_domains::bool[], :tags::text[]) AS given (id, lost_domain, tags)
LEFT JOIN LATERAL (
    SELECT company.id AS company_id,
        value.rank + CASE WHEN value.is_human THEN 1e6 ELSE 0 END AS rank
    FROM field_value AS value
    JOIN company ON company.domain = btrim(value.value, '"')
    WHERE value.subject_id = given.id AND value.field = 'company_domain'
    ORDER BY rank DESC, value.observed_at DESC LIMIT 1
) AS best ON given.lost_domain
WHERE lead.id = given.id
RETURNING lead.id, lead.version;

-- name: part_again
-- Merges that rows caused are no more; nobody said that these are different people.
UPDATE lead SET
    merged_into = NULL, merge_reason = NULL, merged_by = NULL, merged_at = NULL,
    updated_at = :now::timestamptz, version = lead.version + 1
FROM unnest(:ids::uuid[], :into_ids::uuid[]) AS merged (id, into_id)
WHERE lead.id = merged.id AND lead.merged_into = merged.into_id
RETURNING lead.id, lead.version;

-- name: drop_made_companies
-- Companies that an import made, as soon as nothing names them any more.
DELETE FROM company
USING import_row
WHERE import_row.run_id = :run_id::uuid AND import_row.company_id = ANY(:ids::uuid[])
    AND import_row.made_company AND company.id = import_row.company_id
    AND NOT EXISTS (SELECT FROM lead WHERE lead.company_id = company.id)
    AND NOT EXISTS (SELECT FROM field_value WHERE field_value.subject_id = company.id);
