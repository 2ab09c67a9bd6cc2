-- name: add_import
-- A file is imported once per run; a second try adds nothing.
INSERT INTO import (
    run_id, name, sha256, encoding, delimiter, sheet, sheets, mapping, subject, warnings,
    good_count, bad_count, opted_out_count, created_at, state, icp_id, is_undoable, started_at
)
VALUES (
    :run_id::uuid, :name::text, :sha256::bytea, :encoding::text, :delimiter::text,
    :sheet::text, :sheets::text[],
    :mapping::text, :subject::text, :warnings::text[], :good_count::int, :bad_count::int,
    :opted_out_count::int, :now::timestamptz, 'running', :icp_id::uuid, true, :now::timestamptz
)
ON CONFLICT (run_id) DO NOTHING
RETURNING run_id;

-- name: add_import_rows
-- Rows whose outcome is known at once.
INSERT INTO import_row (
    run_id, number, raw, outcome, lead_id, reason, made_lead, company_id, made_company, new_keys,
    new_tags, merged, notes, owner
)
SELECT
    :run_id::uuid, number, raw, outcome, lead_id, reason, made_lead, company_id, made_company,
    string_to_array(new_keys, chr(30)), string_to_array(new_tags, chr(30)),
    string_to_array(merged, chr(30))::uuid[], string_to_array(notes, chr(30)), owner
FROM unnest(
    :numbers::int[], :raws::text[], :outcomes::text[], :lead_ids::uuid[], :reasons::text[],
    :made_leads::bool[], :company_ids::uuid[], :made_companies::bool[], :new_keys::text[],
    :new_tags::text[], :merged::text[], :notes::text[], :owners::text[]
) AS ended (
    number, raw, outcome, lead_id, reason, made_lead, company_id, made_company, new_keys, new_tags,
    merged, notes, owner
)
ON CONFLICT (run_id, number) DO NOTHING;

-- name: record_results
-- Record the outcomes of staged rows; lists arrive joined by U+001E.
UPDATE import_row SET
    outcome = ended.outcome, lead_id = ended.lead_id, reason = ended.reason,
    made_lead = ended.made_lead, company_id = ended.company_id, made_company = ended.made_company,
    new_keys = string_to_array(ended.new_keys, chr(30)),
    new_tags = string_to_array(ended.new_tags, chr(30)),
    merged = string_to_array(ended.merged, chr(30))::uuid[],
    notes = string_to_array(ended.notes, chr(30)), owner = ended.owner
FROM unnest(
    :numbers::int[], :outcomes::text[], :lead_ids::uuid[], :reasons::text[], :made_leads::bool[],
    :company_ids::uuid[], :made_companies::bool[], :new_keys::text[], :new_tags::text[],
    :merged::text[], :notes::text[], :owners::text[]
) AS ended (
    number, outcome, lead_id, reason, made_lead, company_id, made_company, new_keys, new_tags,
    merged, notes, owner
)
WHERE import_row.run_id = :run_id::uuid AND import_row.number = ended.number;

-- name: list_leads
-- The lead of every row of a file.
SELECT number, lead_id FROM import_row WHERE run_id = :run_id::uuid ORDER BY number;

-- name: find_done_numbers
-- Which rows of a run's file are in already.
SELECT number FROM import_row
WHERE run_id = :run_id::uuid AND number = ANY(:numbers::int[]) AND outcome IS NOT NULL;

-- name: find_imported_leads
-- Which of these leads a run's file has brought already.
SELECT DISTINCT lead_id FROM import_row
WHERE run_id = :run_id::uuid AND lead_id = ANY(:lead_ids::uuid[])
    AND outcome IN ('created', 'updated', 'duplicate');

-- name: lock_file
-- One upload of the same bytes at a time, held to the end of the transaction.
SELECT pg_advisory_xact_lock(:key::int8);

-- name: stage_import
-- A file that waits for its mapping.
INSERT INTO import (
    run_id, name, sha256, encoding, delimiter, sheet, sheets, mapping, subject, good_count,
    bad_count, created_at, state, owner, made_by, byte_count, warnings, is_undoable
)
VALUES (
    :id::uuid, :name::text, :sha256::bytea, :encoding::text, :delimiter::text, :sheet::text,
    :sheets::text[], :columns::text, :subject::text, 0, 0, :now::timestamptz, 'uploaded', :owner::text, :made_by::text, :byte_count::int8,
    :warnings::text[], true
);

-- name: stage_rows
-- Rows that wait for their outcome; one whose syntax is broken has it already.
INSERT INTO import_row (run_id, number, raw, outcome, reason)
SELECT
    :run_id::uuid, number, raw, CASE WHEN reason IS NULL THEN NULL ELSE 'bad' END, reason
FROM unnest(:numbers::int[], :raws::text[], :reasons::text[]) AS staged (number, raw, reason);

-- name: record_row_counts
-- How many rows a file has, once all are staged; `good_count` are those that can be read.
UPDATE import SET good_count = :good_count::int, bad_count = :bad_count::int
WHERE run_id = :id::uuid;

-- name: find_imports
-- Imports as they stand.
SELECT
    run_id, version, state, name, sha256, byte_count, encoding, delimiter, sheet, sheets, mapping,
    subject, warnings,
    good_count, bad_count, created_count, updated_count, skipped_count, duplicate_count,
    undone_count, kept_count, opted_out_count, is_undoable, notes, plan, icp_id, owner, made_by,
    code, created_at,
    started_at, ended_at, job_id, undo_job_id
FROM import
WHERE run_id = ANY(:ids::uuid[]) AND (:owner::text IS NULL OR owner = :owner::text);

-- name: lock_import
-- The same, locked until the end of the transaction.
SELECT
    run_id, version, state, name, sha256, byte_count, encoding, delimiter, sheet, sheets, mapping,
    subject, warnings,
    good_count, bad_count, created_count, updated_count, skipped_count, duplicate_count,
    undone_count, kept_count, opted_out_count, is_undoable, notes, plan, icp_id, owner, made_by,
    code, created_at,
    started_at, ended_at, job_id, undo_job_id, undo_owner, place
FROM import
WHERE run_id = :id::uuid AND (:owner::text IS NULL OR owner = :owner::text)
FOR NO KEY UPDATE;

-- name: list_imports
-- Imports, newest first.
SELECT run_id FROM import
WHERE (:owner::text IS NULL OR owner = :owner::text)
    AND (:state::text IS NULL OR state = :state::text)
    AND (:before::uuid IS NULL OR run_id < :before::uuid)
ORDER BY run_id DESC LIMIT :limit::int;

-- name: find_same_files
-- Other imports of the same bytes, newest first.
SELECT run_id, name, state, created_at FROM import
WHERE sha256 = :sha256::bytea AND run_id <> :id::uuid
    AND (:owner::text IS NULL OR owner = :owner::text)
ORDER BY run_id DESC LIMIT 20;

-- name: find_waiting_file
-- The same sheet of the same bytes of the same owner that nobody has started yet.
SELECT run_id FROM import
WHERE sha256 = :sha256::bytea AND owner IS NOT DISTINCT FROM :owner::text
    AND sheet IS NOT DISTINCT FROM :sheet::text
    AND state IN ('uploaded', 'mapped')
ORDER BY run_id DESC LIMIT 1;

-- name: count_waiting
-- The files of an owner that nobody has started yet.
SELECT count(*) FROM import
WHERE owner = :owner::text AND state IN ('uploaded', 'mapped');

-- name: record_mapping
-- How the rows are to be read.
UPDATE import SET
    plan = :plan::text, icp_id = :icp_id::uuid, state = 'mapped', version = version + 1
WHERE run_id = :id::uuid;

-- name: start_import
-- Its rows are read from now on.
UPDATE import SET
    plan = :plan::text, icp_id = :icp_id::uuid, state = 'running', version = version + 1,
    started_at = :now::timestamptz
WHERE run_id = :id::uuid;

-- name: record_job
-- Which job reads the rows.
UPDATE import SET job_id = :job_id::uuid WHERE run_id = :id::uuid;

-- name: advance_import
-- How far the rows of a file are in.
UPDATE import SET
    place = :place::int,
    created_count = created_count + :created::int, updated_count = updated_count + :updated::int,
    skipped_count = skipped_count + :skipped::int,
    duplicate_count = duplicate_count + :duplicate::int,
    good_count = good_count - :bad::int, bad_count = bad_count + :bad::int,
    hidden_count = hidden_count + :hidden::int,
    opted_out_count = opted_out_count + :opted_out::int,
    state = CASE WHEN :is_last::bool THEN 'completed' ELSE 'running' END, code = NULL,
    ended_at = CASE WHEN :is_last::bool THEN :now::timestamptz END,
    notes = :notes::text, version = version + 1
WHERE run_id = :id::uuid
RETURNING created_count + updated_count + skipped_count + duplicate_count + bad_count AS done_count,
    good_count + bad_count AS row_count;

-- name: lock_hidden_rows
-- The imports of one user tell of hidden leads one after the other, on whatever node they run.
SELECT pg_advisory_xact_lock(hashtextextended('hidden rows:' || :owner::text, 0));

-- name: count_hidden_rows
-- How many rows of a user's newer imports told of a lead that they do not see.
SELECT coalesce(sum(hidden_count), 0) FROM import
WHERE owner = :owner::text AND started_at > :since::timestamptz;

-- name: fail_import
-- It stopped; what is in stays until it is undone.
UPDATE import SET
    state = 'failed', code = :code::text, ended_at = :now::timestamptz, version = version + 1
WHERE run_id = :id::uuid AND state IN ('running', 'undoing');

-- name: finish_import
-- A file that a command has read is in.
UPDATE import SET state = 'completed', ended_at = :now::timestamptz, version = version + 1
WHERE run_id = :id::uuid AND state = 'running';

-- name: list_broken
-- Rows in a range of lines whose syntax is broken.
SELECT number, raw, reason FROM import_row
WHERE run_id = :run_id::uuid AND outcome = 'bad' AND number > :after::int AND number <= :last::int
ORDER BY number
LIMIT :limit::int;

-- name: list_waiting
-- The next rows without an outcome.
SELECT number, raw FROM import_row
WHERE run_id = :run_id::uuid AND outcome IS NULL AND number > :after::int
ORDER BY number LIMIT :limit::int;

-- name: list_rows
-- Rows in the order of the file; of one outcome, or those that wait, or all.
SELECT number, outcome, lead_id, reason, notes, raw FROM import_row
WHERE run_id = :run_id::uuid AND number > :after::int
ORDER BY number LIMIT :limit::int;

-- name: list_rows_of
-- Rows that ended one way, in the order of the file.
SELECT number, outcome, lead_id, reason, notes, raw FROM import_row
WHERE run_id = :run_id::uuid AND outcome = :outcome::text AND number > :after::int
ORDER BY number LIMIT :limit::int;

-- name: list_faulty_rows
-- Rows that cannot be used, or some of whose cells have a note.
SELECT number, outcome, lead_id, reason, notes, raw FROM import_row
WHERE run_id = :run_id::uuid AND number > :after::int AND (outcome = 'bad' OR notes <> '{}')
ORDER BY number LIMIT :limit::int;

-- name: set_savepoint
-- Set the savepoint to return to when another transaction has created one of the leads.
SAVEPOINT import_chunk;

-- name: roll_back
-- The chunk is read again.
ROLLBACK TO SAVEPOINT import_chunk;

-- name: find_users
-- The users that leads may be given to, by their addresses.
SELECT id::text AS id, lower(email) AS address FROM app_user
WHERE lower(email) = ANY(:addresses::text[]) AND state = 'active';

-- name: find_namesakes
-- Leads of persons of these names that work somewhere, the latest first.
SELECT id AS lead_id, full_name, company_name, email, owner, kept_apart FROM lead
WHERE sort_name = ANY(:names::text[]) AND merged_into IS NULL AND deleted_at IS NULL
    AND full_name IS NOT NULL AND company_name IS NOT NULL
ORDER BY id DESC LIMIT :limit::int;

-- name: find_new_companies
-- Which companies this very moment has made.
SELECT id FROM company WHERE id = ANY(:ids::uuid[]) AND created_at = :now::timestamptz;

-- name: start_undo
-- An import is being undone.
UPDATE import SET
    state = 'undoing', code = NULL, undo_job_id = :job_id::uuid, place = :place::int, ended_at = NULL,
    undo_owner = :owner_id::uuid,
    version = version + 1
WHERE run_id = :id::uuid;

-- name: advance_undo
-- How far an undo is.
UPDATE import SET
    place = :place::int, undone_count = undone_count + :undone::int,
    kept_count = kept_count + :kept::int,
    state = CASE WHEN :is_last::bool THEN 'undone' ELSE 'undoing' END, code = NULL,
    ended_at = CASE WHEN :is_last::bool THEN :now::timestamptz END,
    version = version + 1
WHERE run_id = :id::uuid
RETURNING undone_count, kept_count;

-- name: list_rows_to_undo
-- The next rows that brought something, the last first: a row goes before what it is merged into.
SELECT number, outcome = 'kept' AS was_kept, lead_id, made_lead, company_id, new_keys, new_tags,
    merged
FROM import_row
WHERE run_id = :run_id::uuid AND number < :before::int AND lead_id IS NOT NULL
    AND outcome IN ('created', 'updated', 'duplicate', 'skipped', 'kept')
ORDER BY number DESC LIMIT :limit::int;

-- name: find_kept_leads
-- Which of these leads an undo of this import has kept.
SELECT DISTINCT lead_id FROM import_row
WHERE run_id = :run_id::uuid AND lead_id = ANY(:lead_ids::uuid[]) AND outcome = 'kept';

-- name: find_obstacles
-- Why leads that an import made cannot go again: somebody else has to do with them since. What
-- the import itself has merged goes with the rows that did it.
SELECT lead.id AS lead_id, 'merged' AS obstacle
FROM lead
WHERE lead.id = ANY(:lead_ids::uuid[]) AND lead.merged_into IS NOT NULL
    AND lead.id <> ALL(:merged_ids::uuid[]) AND NOT EXISTS (
        SELECT FROM import_row AS own
        WHERE own.lead_id = lead.id AND own.run_id = :run_id::uuid AND own.made_lead
            AND coalesce(own.before, own.outcome) = 'duplicate')
UNION ALL
SELECT other.merged_into, 'merged' FROM lead AS other
WHERE other.merged_into = ANY(:lead_ids::uuid[]) AND other.id <> ALL(:lead_ids::uuid[])
UNION ALL
SELECT lead.id, 'assigned' FROM lead LEFT JOIN (
    SELECT own.lead_id, max(own.owner) AS owner FROM import_row AS own
    WHERE own.lead_id = ANY(:lead_ids::uuid[]) AND own.run_id = :run_id::uuid GROUP BY own.lead_id
) AS given ON given.lead_id = lead.id
WHERE lead.id = ANY(:lead_ids::uuid[])
    AND lead.owner IS DISTINCT FROM coalesce(given.owner, :owner::text)
UNION ALL
SELECT field_value.subject_id, 'edited' FROM field_value
WHERE field_value.subject_id = ANY(:lead_ids::uuid[]) AND field_value.is_human
UNION ALL
SELECT activity.lead_id, 'activity' FROM activity
WHERE activity.lead_id = ANY(:lead_ids::uuid[])
UNION ALL
SELECT label.lead_id, 'judged' FROM label WHERE label.lead_id = ANY(:lead_ids::uuid[])
UNION ALL
SELECT import_row.lead_id, 'imported' FROM import_row
WHERE import_row.lead_id = ANY(:lead_ids::uuid[]) AND import_row.run_id <> :run_id::uuid
    AND import_row.outcome IN ('created', 'updated', 'duplicate', 'kept')
UNION ALL
SELECT discovery_record.lead_id, 'discovered' FROM discovery_record
WHERE discovery_record.lead_id = ANY(:lead_ids::uuid[])
UNION ALL
SELECT intent.lead_id, 'sent' FROM intent
WHERE intent.lead_id = ANY(:lead_ids::uuid[])
    AND intent.state IN ('sending', 'accepted', 'unknown')
UNION ALL
SELECT message.lead_id, 'decided' FROM message
WHERE message.lead_id = ANY(:lead_ids::uuid[])
    AND (message.edited_at IS NOT NULL OR (message.decided_by LIKE 'user:%'))
UNION ALL
SELECT opt_in.lead_id, 'agreed' FROM opt_in
WHERE opt_in.lead_id = ANY(:lead_ids::uuid[])
    AND NOT starts_with(opt_in.source, 'import ' || :run_id::uuid || ',');

-- name: find_pointers
-- What these leads are merged into.
SELECT id, merged_into FROM lead
WHERE id = ANY(:lead_ids::uuid[]) AND merged_into IS NOT NULL;

-- name: record_undone
-- Record the outcomes of an undo; a row that is kept says why.
UPDATE import_row SET
    before = coalesce(import_row.before, import_row.outcome), outcome = ended.outcome,
    reason = ended.reason
FROM unnest(:numbers::int[], :outcomes::text[], :reasons::text[])
    AS ended (number, outcome, reason)
WHERE import_row.run_id = :run_id::uuid AND import_row.number = ended.number;

-- name: list_stale_uploads
-- Files that nobody started in time.
SELECT run_id FROM import
WHERE state IN ('uploaded', 'mapped') AND created_at < :before::timestamptz
ORDER BY run_id LIMIT 2 FOR UPDATE SKIP LOCKED;

-- name: delete_staged_rows
-- The rows of files that nobody started.
DELETE FROM import_row WHERE run_id = ANY(:ids::uuid[]);

-- name: delete_imports
-- Files that nobody started.
DELETE FROM import WHERE run_id = ANY(:ids::uuid[]);

-- fragment: insert_saved_mapping
-- How a source's files are read.
INSERT INTO import_mapping (
    id, owner, name, fingerprint, headers, mapping, made_by, updated_at
)
VALUES (
    :id::uuid, :owner::text, :name::text, :fingerprint::bytea, :headers::text[], :mapping::text,
    :made_by::text, :now::timestamptz
)

-- name: record_saved_mapping
-- How a source's files are read; an owner has one of a name.
{insert_saved_mapping}
ON CONFLICT (owner, name) DO UPDATE SET
    fingerprint = excluded.fingerprint, headers = excluded.headers, mapping = excluded.mapping,
    made_by = excluded.made_by, updated_at = excluded.updated_at
RETURNING id;

-- name: take_saved_mapping
-- Take a mapping out, to put it back changed: another may get its new name at the same moment.
DELETE FROM import_mapping
WHERE id = :id::uuid AND (:owner::text IS NULL OR owner = :owner::text)
RETURNING id, owner, name, headers, mapping, made_by, updated_at, fingerprint;

-- name: put_saved_mapping
-- Put a mapping back, unless its owner has another of that name.
{insert_saved_mapping}
ON CONFLICT (owner, name) DO NOTHING
RETURNING id;

-- name: count_saved_mappings
-- How many mappings an owner has saved.
SELECT count(*) FROM import_mapping WHERE owner IS NOT DISTINCT FROM :owner::text;

-- name: list_saved_mappings
-- The mappings of an owner, or all (null); those for files with such headers, or any (null).
SELECT id, owner, name, headers, mapping, made_by, updated_at FROM import_mapping
WHERE (:owner::text IS NULL OR owner = :owner::text)
    AND (:fingerprint::bytea IS NULL OR fingerprint = :fingerprint::bytea)
ORDER BY name, id LIMIT 1000;

-- name: delete_saved_mapping
-- A mapping that is kept no more.
DELETE FROM import_mapping
WHERE id = :id::uuid AND (:owner::text IS NULL OR owner = :owner::text);
