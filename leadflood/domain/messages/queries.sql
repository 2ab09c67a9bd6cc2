-- name: find_offers
-- Find the offers of ICP versions, and whether a person must approve their messages.
SELECT id, offer, autopilot FROM icp_profile WHERE id = ANY(:ids::uuid[]);

-- name: drop_failed
-- Messages that only say that their drafting failed.
DELETE FROM message USING unnest(:run_ids::uuid[], :lead_ids::uuid[], :steps::int[])
    AS drafted (run_id, lead_id, step)
WHERE message.run_id = drafted.run_id AND message.lead_id = drafted.lead_id
    AND message.step = drafted.step AND message.state = 'needs_data'
    AND message.reason LIKE 'failed:%';

-- name: add_messages
-- One message per run, lead and step; lists arrive joined by U+001F, which no text may hold.
INSERT INTO message (
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, parameters, placeholders, writer, problem_codes, problem_details, repeats,
    earlier_message_id, drafted_at, decided_at, decided_by
)
SELECT
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, string_to_array(parameters, chr(31)), string_to_array(placeholders, chr(31)),
    writer, string_to_array(problem_codes, chr(31)), string_to_array(problem_details, chr(31)),
    repeats, earlier_message_id, :now::timestamptz, CASE WHEN decided_by <> '' THEN :now::timestamptz END,
    nullif(decided_by, '')
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :icp_ids::uuid[], :run_ids::uuid[], :steps::int[],
    :states::text[], :reasons::text[], :channels::text[], :to_addresses::text[],
    :to_names::text[], :subjects::text[], :bodies::text[], :template_ids::text[],
    :parameters::text[], :placeholders::text[], :writers::text[], :problem_codes::text[],
    :problem_details::text[], :repeats::bool[], :earlier_message_ids::uuid[], :decided_bys::text[]
) AS drafted (
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, parameters, placeholders, writer, problem_codes, problem_details, repeats,
    earlier_message_id, decided_by
)
ORDER BY run_id, lead_id, step
ON CONFLICT (run_id, lead_id, step) DO NOTHING
RETURNING id;

-- name: add_facts
-- The facts of messages, each with its stored proof; positions arrive as '1,5,9'.
INSERT INTO message_fact (
    message_id, number, field, value, field_value_id, claim_starts, claim_ends
)
SELECT
    message_id, number, field, value, field_value_id,
    string_to_array(starts, ',')::int[], string_to_array(ends, ',')::int[]
FROM unnest(
    :message_ids::uuid[], :numbers::int[], :fields::text[], :values::text[],
    :field_value_ids::uuid[], :starts::text[], :ends::text[]
) AS fact (message_id, number, field, value, field_value_id, starts, ends);

-- fragment: message_columns
-- A message with what has become of it.
SELECT
    message.id, message.lead_id, message.icp_id, message.run_id, message.step, message.state,
    message.reason, message.channel, message.to_address, message.subject, message.body,
    message.parameters, message.writer, message.version, message.drafted_at, message.decided_at,
    message.decided_by, intent.id AS intent_id, intent.state AS intent_state,
    intent.code AS intent_code, intent.detail AS intent_detail,
    coalesce(message.earlier_message_id, intent.earlier_message_id) AS earlier_message_id

-- fragment: message_filter
-- The messages that a list asks for, behind one.
WHERE message.id < :before::uuid
    AND (:state::text IS NULL OR message.state = :state::text)
    AND (:lead_ids::uuid[] IS NULL OR message.lead_id = ANY(:lead_ids::uuid[]))
    AND (:run_id::uuid IS NULL OR message.run_id = :run_id::uuid)
    AND (:channel::text IS NULL OR message.channel = :channel::text)

-- name: list_messages
-- Messages with what has become of them, newest first; those to leads that are deleted, or gone
-- with the import that brought them, are out of sight.
{message_columns}
FROM message
LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
{message_filter}
    AND EXISTS (SELECT FROM lead WHERE lead.id = message.lead_id AND lead.deleted_at IS NULL)
ORDER BY message.id DESC
LIMIT :limit::int;

-- name: list_owned_messages
-- The messages to one owner's leads, and to those that were merged into them, newest first.
WITH RECURSIVE visible AS (
    SELECT id FROM lead
    WHERE owner = :owner::text AND merged_into IS NULL AND deleted_at IS NULL
    UNION ALL
    SELECT lead.id FROM visible JOIN lead ON lead.merged_into = visible.id
)
{message_columns}
FROM visible
JOIN message ON message.lead_id = visible.id
LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
{message_filter}
ORDER BY message.id DESC
LIMIT :limit::int;

-- name: list_messages_of_leads
-- The messages to these leads with what has become of them, the newest of each lead.
{message_columns}
FROM unnest(:lead_ids::uuid[]) AS subject (lead_id)
CROSS JOIN LATERAL (
    SELECT * FROM message WHERE message.lead_id = subject.lead_id
    ORDER BY message.id DESC LIMIT :limit::int) AS message
LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
ORDER BY message.id DESC;

-- name: find_messages
-- Messages by id, with what has become of them.
{message_columns}
FROM message
LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
WHERE message.id = ANY(:ids::uuid[]);

-- name: find_facts
-- List the facts of a message, with where each is claimed.
SELECT number, field, value, field_value_id, claim_starts, claim_ends
FROM message_fact WHERE message_id = :message_id::uuid ORDER BY number;

-- name: find_problems
-- Why the first draft of a message was not used.
SELECT problem_codes, problem_details FROM message WHERE id = :id::uuid;

-- name: lock_message
-- A decision waits for the decision before it.
SELECT
    message.id, message.lead_id, message.icp_id, message.run_id, message.step, message.state,
    message.reason, message.channel, message.to_address, message.to_name, message.subject,
    message.body, message.template_id, message.parameters, message.placeholders, message.writer,
    message.version, message.repeats, run.sends, run.cancelled_at IS NOT NULL AS run_cancelled,
    lead.deleted_at IS NOT NULL AS lead_deleted
FROM message
LEFT JOIN run ON run.id = message.run_id
LEFT JOIN lead ON lead.id = message.lead_id
WHERE message.id = :id::uuid
FOR NO KEY UPDATE OF message;

-- name: decide_message
-- A person's decision.
UPDATE message SET
    state = :state::text, reason = :reason::text, decided_at = :now::timestamptz,
    decided_by = :by::text, version = version + 1
WHERE id = :id::uuid;

-- name: readdress_message
-- A draft goes to the address that its lead has by now; the text stays.
UPDATE message SET
    to_address = :to_address::text, to_name = :to_name::text, edited_at = :now::timestamptz,
    version = version + 1
WHERE id = :id::uuid;

-- name: edit_message
-- A person's text in place of the draft: what it claimed is no longer known.
WITH cleared AS (
    UPDATE message_fact SET claim_starts = '{}', claim_ends = '{}'
    WHERE message_id = :id::uuid
)
UPDATE message SET
    subject = :subject::text, body = :body::text, parameters = :parameters::text[],
    writer = :writer::text, state = 'waiting', reason = '', edited_at = :now::timestamptz,
    version = version + 1
WHERE id = :id::uuid;
