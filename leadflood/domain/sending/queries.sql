-- name: find_offers
-- What an ICP version says of messages: the offer and whether a person must look first.
SELECT id, offer, autopilot FROM icp_profile WHERE id = ANY(:ids::uuid[]);

-- name: find_templates
-- The newest text of each channel under a name.
SELECT DISTINCT ON (channel)
    name, version, channel, language, subject, body, whatsapp_template_id, placeholders, parameters
FROM template
WHERE name = :name::text AND language = :language::text AND archived_at IS NULL
ORDER BY channel, version DESC;

-- name: add_template
-- A text is never changed: a new version takes its place.
INSERT INTO template (
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by
)
SELECT
    :id::uuid, :name::text,
    1 + coalesce((
        SELECT max(version) FROM template
        WHERE name = :name::text AND channel = :channel::text AND language = :language::text
    ), 0),
    :channel::text, :language::text, :subject::text, :body::text, :whatsapp_template_id::text,
    :placeholders::text[], :parameters::text[], :now::timestamptz, :by::text
ON CONFLICT (name, channel, language, version) DO NOTHING
RETURNING
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by;

-- name: list_templates
-- The newest version of each text.
SELECT DISTINCT ON (name, channel, language)
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by
FROM template WHERE archived_at IS NULL
ORDER BY name, channel, language, version DESC
LIMIT 1000;

-- name: list_template_versions
-- Every version of the text that one of its versions belongs to, newest first.
SELECT
    template.id, template.name, template.version, template.channel, template.language,
    template.subject, template.body, template.whatsapp_template_id, template.placeholders,
    template.parameters, template.created_at, template.created_by
FROM template AS named
JOIN template USING (name, channel, language)
WHERE named.id = :id::uuid
ORDER BY template.version DESC;

-- name: find_opted_in
-- Which of these addresses have agreed to be written to on a channel.
SELECT key FROM opt_in
WHERE channel = :channel::text AND key = ANY(:keys::bytea[]) AND withdrawn_at IS NULL;

-- name: add_messages
-- One message per run, lead and step; lists arrive joined by U+001F, which no text may hold.
INSERT INTO message (
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, parameters, placeholders, writer, problem_codes, problem_details, drafted_at,
    decided_at, decided_by
)
SELECT
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, string_to_array(parameters, chr(31)), string_to_array(placeholders, chr(31)),
    writer, string_to_array(problem_codes, chr(31)), string_to_array(problem_details, chr(31)),
    :now::timestamptz, CASE WHEN decided_by <> '' THEN :now::timestamptz END,
    nullif(decided_by, '')
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :icp_ids::uuid[], :run_ids::uuid[], :steps::int[],
    :states::text[], :reasons::text[], :channels::text[], :to_addresses::text[],
    :to_names::text[], :subjects::text[], :bodies::text[], :template_ids::text[],
    :parameters::text[], :placeholders::text[], :writers::text[], :problem_codes::text[],
    :problem_details::text[], :decided_bys::text[]
) AS drafted (
    id, lead_id, icp_id, run_id, step, state, reason, channel, to_address, to_name, subject, body,
    template_id, parameters, placeholders, writer, problem_codes, problem_details, decided_by
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
) AS told (message_id, number, field, value, field_value_id, starts, ends);

-- name: add_intents
-- One intent per message and step; suppression keys arrive as hex joined by commas.
INSERT INTO intent (
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key,
    suppression_keys, state, latest_useful_at, created_at
)
SELECT
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key,
    ARRAY(SELECT decode(key, 'hex') FROM unnest(string_to_array(keys, ',')) AS key),
    'ready', :latest_useful_at::timestamptz, :now::timestamptz
FROM unnest(
    :ids::uuid[], :message_ids::uuid[], :lead_ids::uuid[], :run_ids::uuid[], :steps::int[],
    :references::text[], :channels::text[], :to_addresses::text[], :address_keys::bytea[],
    :keys::text[]
) AS wanted (
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key, keys
)
ORDER BY message_id
ON CONFLICT (message_id, step) DO NOTHING
RETURNING id;

-- name: add_tokens
-- What lets the person written to say stop; only hashes are kept.
INSERT INTO unsubscribe_token (token_hash, intent_id, lead_id, address_key, hint, created_at)
SELECT token_hash, intent_id, lead_id, address_key, hint, :now::timestamptz
FROM unnest(
    :token_hashes::bytea[], :intent_ids::uuid[], :lead_ids::uuid[], :address_keys::bytea[],
    :hints::text[]
) AS made (token_hash, intent_id, lead_id, address_key, hint)
ORDER BY intent_id
ON CONFLICT DO NOTHING;

-- name: find_intents
-- What a sending needs: the intent with the text of its message.
SELECT
    intent.id, intent.message_id, intent.lead_id, intent.run_id, intent.step, intent.reference,
    intent.channel, intent.to_address, message.to_name, message.subject, message.body,
    message.template_id, message.parameters, intent.state, intent.claim, intent.job_id,
    intent.latest_useful_at, intent.code, intent.detail, intent.provider, intent.remote_id,
    intent.sending_at, intent.ended_at
FROM intent JOIN message ON message.id = intent.message_id
WHERE intent.id = ANY(:ids::uuid[]);

-- name: lock_intents
-- Locked in the order of their ids before their state is changed.
SELECT id, message_id, lead_id, run_id, state, told_state, claim, job_id, code
FROM intent WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: settle_intents
-- What has become of sendings; empty words leave what was written before.
UPDATE intent SET
    state = ended.state, told_state = CASE WHEN ended.told THEN ended.state ELSE told_state END,
    code = ended.code,
    detail = CASE WHEN intent.state = ended.state THEN intent.detail ELSE ended.detail END,
    provider = coalesce(nullif(ended.provider, ''), intent.provider),
    remote_id = coalesce(nullif(ended.remote_id, ''), intent.remote_id),
    claim = CASE
        WHEN intent.state = 'ready' THEN coalesce(ended.claim, intent.claim)
        ELSE coalesce(intent.claim, ended.claim)
    END,
    job_id = CASE
        WHEN intent.state = 'ready' THEN coalesce(ended.job_id, intent.job_id)
        ELSE coalesce(intent.job_id, ended.job_id)
    END,
    sending_at = CASE
        WHEN ended.state = 'ready' THEN NULL
        WHEN ended.state IN ('accepted', 'unknown')
            THEN coalesce(intent.sending_at, :now::timestamptz)
        ELSE intent.sending_at
    END,
    ended_at = CASE
        WHEN ended.state IN ('ready', 'sending', 'unknown') THEN NULL
        ELSE coalesce(intent.ended_at, :now::timestamptz)
    END,
    resolved_by = coalesce(nullif(ended.resolved_by, ''), intent.resolved_by)
FROM unnest(
    :ids::uuid[], :states::text[], :tolds::bool[], :codes::text[], :details::text[],
    :providers::text[], :remote_ids::text[], :claims::bigint[], :job_ids::uuid[],
    :resolved_bys::text[]
) AS ended (
    id, state, told, code, detail, provider, remote_id, claim, job_id, resolved_by
)
WHERE intent.id = ended.id;

-- name: share_sending_lock
-- Taken by every authorize: `hold` waits for all of them, and they for nobody else.
SELECT pg_advisory_xact_lock_shared(:key::bigint);

-- name: own_sending_lock
-- Taken by hold and release: waits until no authorize is under way.
SELECT pg_advisory_xact_lock(:key::bigint);

-- name: judge_intents
-- The last look before the outside is called: everything that may forbid a sending.
SELECT
    intent.id, intent.state, intent.claim, intent.job_id, intent.channel, intent.latest_useful_at,
    message.state AS message_state,
    lead.id IS NULL AS lead_gone, lead.merged_into IS NOT NULL AS lead_merged,
    lead.deleted_at IS NOT NULL AS lead_deleted,
    coalesce(run.cancelled_at IS NOT NULL, true) AS run_cancelled,
    coalesce(run.sends = 'never', true) AS never_sends,
    EXISTS (
        SELECT FROM suppression
        WHERE suppression.key = ANY(intent.suppression_keys) AND suppression.lifted_at IS NULL
    ) AS suppressed,
    EXISTS (
        SELECT FROM opt_in
        WHERE opt_in.channel = intent.channel AND opt_in.key = intent.address_key
            AND opt_in.withdrawn_at IS NULL
    ) AS opted_in,
    coalesce((SELECT switch.state <> 'released' FROM switch WHERE switch.name = 'sending'), true)
        AS held
FROM intent
JOIN message ON message.id = intent.message_id
LEFT JOIN lead ON lead.id = intent.lead_id
LEFT JOIN run ON run.id = intent.run_id
WHERE intent.id = ANY(:ids::uuid[])
ORDER BY intent.id
FOR NO KEY UPDATE OF intent;

-- name: start_sending
-- From here on the outside may be called, once, under this claim.
UPDATE intent SET
    state = 'sending', claim = started.claim, job_id = started.job_id,
    sending_at = :now::timestamptz, provider = started.provider, code = '', detail = ''
FROM unnest(:ids::uuid[], :claims::bigint[], :job_ids::uuid[], :providers::text[])
    AS started (id, claim, job_id, provider)
WHERE intent.id = started.id;

-- name: cancel_intents
-- Refused for good; told when the job ends.
UPDATE intent SET
    state = 'cancelled', code = refused.code, detail = refused.detail, ended_at = :now::timestamptz
FROM unnest(:ids::uuid[], :codes::text[], :details::text[]) AS refused (id, code, detail)
WHERE intent.id = refused.id AND intent.state = 'ready';

-- name: find_lost
-- In sending though the claim that called is gone, or ended but told by nobody who still lives.
(
    SELECT id, claim FROM intent
    WHERE state = 'sending' AND NOT EXISTS (
        SELECT FROM job
        WHERE job.id = intent.job_id AND job.claim = intent.claim AND job.state = 1
    )
    ORDER BY id
    LIMIT :limit::int
)
UNION ALL
(
    SELECT id, claim FROM intent
    WHERE told_state <> state AND state NOT IN ('ready', 'sending')
        AND NOT EXISTS (SELECT FROM job WHERE job.id = intent.job_id)
    ORDER BY id
    LIMIT :limit::int
);

-- name: read_switch
-- Who holds or released sending, and why.
SELECT state, by_whom, reason, changed_at FROM switch WHERE name = 'sending';

-- name: write_switch
-- The switch outlives processes and holds for all of them.
INSERT INTO switch (name, state, by_whom, reason, changed_at)
VALUES ('sending', :state::text, :by::text, :reason::text, :now::timestamptz)
ON CONFLICT (name) DO UPDATE SET
    state = excluded.state, by_whom = excluded.by_whom, reason = excluded.reason,
    changed_at = excluded.changed_at;

-- name: list_intents
-- The intents in one state, oldest first.
SELECT id, message_id, lead_id, channel, to_address, reference, state, code, sending_at
FROM intent
WHERE state = :state::text AND id > :after::uuid
ORDER BY id
LIMIT :limit::int;

-- name: count_intents
-- How many intents are in each state.
SELECT state, count(*) AS count FROM intent GROUP BY state;

-- fragment: message_columns
-- A message with what has become of it.
SELECT
    message.id, message.lead_id, message.icp_id, message.run_id, message.step, message.state,
    message.reason, message.channel, message.to_address, message.subject, message.body,
    message.parameters, message.writer, message.version, message.drafted_at, message.decided_at,
    message.decided_by, intent.id AS intent_id, intent.state AS intent_state,
    intent.code AS intent_code

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
WITH RECURSIVE mine AS (
    SELECT id FROM lead
    WHERE owner = :owner::text AND merged_into IS NULL AND deleted_at IS NULL
    UNION ALL
    SELECT lead.id FROM mine JOIN lead ON lead.merged_into = mine.id
)
{message_columns}
FROM mine
JOIN message ON message.lead_id = mine.id
LEFT JOIN intent ON intent.message_id = message.id AND intent.step = message.step
{message_filter}
ORDER BY message.id DESC
LIMIT :limit::int;

-- name: find_owner
-- Who owns a lead: what stands in the lead that it was merged into.
WITH RECURSIVE up AS (
    SELECT id, merged_into, owner FROM lead WHERE id = :lead_id::uuid
    UNION ALL
    SELECT lead.id, lead.merged_into, lead.owner FROM up JOIN lead ON lead.id = up.merged_into
)
SELECT owner FROM up WHERE merged_into IS NULL;

-- name: find_intent
-- The sending of a message's step.
SELECT id FROM intent WHERE message_id = :message_id::uuid AND step = :step::int;

-- name: list_messages_of_leads
-- The messages to these leads with what has become of them, the newest of each lead.
{message_columns}
FROM unnest(:lead_ids::uuid[]) AS asked (lead_id)
CROSS JOIN LATERAL (
    SELECT * FROM message WHERE message.lead_id = asked.lead_id
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
-- What carries a message.
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
    message.version, run.sends, run.cancelled_at IS NOT NULL AS run_cancelled,
    lead.deleted_at IS NOT NULL AS lead_deleted
FROM message
LEFT JOIN run ON run.id = message.run_id
LEFT JOIN lead ON lead.id = message.lead_id
WHERE message.id = :id::uuid
FOR NO KEY UPDATE OF message;

-- name: decide_message
-- A person's word.
UPDATE message SET
    state = :state::text, reason = :reason::text, decided_at = :now::timestamptz,
    decided_by = :by::text, version = version + 1
WHERE id = :id::uuid;

-- name: edit_message
-- A person's text in place of the draft: what it claimed is no longer known.
WITH forgotten AS (
    UPDATE message_fact SET claim_starts = '{}', claim_ends = '{}'
    WHERE message_id = :id::uuid
)
UPDATE message SET
    subject = :subject::text, body = :body::text, parameters = :parameters::text[],
    writer = :writer::text, state = 'waiting', reason = '', edited_at = :now::timestamptz,
    version = version + 1
WHERE id = :id::uuid;

-- name: find_family
-- A lead with every lead it was merged into and that was merged into it.
WITH RECURSIVE up AS (
    SELECT id, merged_into FROM lead WHERE id = ANY(:ids::uuid[])
    UNION
    SELECT lead.id, lead.merged_into FROM up JOIN lead ON lead.id = up.merged_into
), down AS (
    SELECT id FROM up
    UNION
    SELECT lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT id FROM down;

-- name: add_suppressions
-- Who must not be written to; one live line per key.
INSERT INTO suppression (id, kind, key, hint, reason, source, added_by, created_at)
SELECT id, kind, key, hint, :reason::text, :source::text, :by::text, :now::timestamptz
FROM unnest(:ids::uuid[], :kinds::text[], :keys::bytea[], :hints::text[])
    AS named (id, kind, key, hint)
ORDER BY key
ON CONFLICT (key) WHERE lifted_at IS NULL DO NOTHING
RETURNING id;

-- name: find_suppression
-- The live line of a key.
SELECT id, kind, hint, reason, source, added_by, created_at, lifted_at
FROM suppression WHERE key = :key::bytea AND lifted_at IS NULL;

-- name: list_suppressions
-- The list as people read it, newest first.
SELECT id, kind, hint, reason, source, added_by, created_at, lifted_at
FROM suppression
WHERE id < :before::uuid AND lifted_at IS NULL
    AND (:kind::text IS NULL OR kind = :kind::text)
ORDER BY id DESC
LIMIT :limit::int;

-- name: lift_suppression
-- Lifted, not deleted: who did it stays readable.
UPDATE suppression SET lifted_at = :now::timestamptz, lifted_by = :by::text
WHERE id = :id::uuid AND lifted_at IS NULL
RETURNING id, kind, hint, reason, source, added_by, created_at, lifted_at;

-- name: add_opt_ins
-- People's agreements, with what proves them; one live row per lead and channel.
INSERT INTO opt_in (
    id, lead_id, channel, key, hint, wording, source, obtained_at, recorded_at, recorded_by
)
SELECT
    id, lead_id, channel, key, hint, wording, source, obtained_at, :now::timestamptz, recorded_by
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :channels::text[], :keys::bytea[], :hints::text[],
    :wordings::text[], :sources::text[], :obtained_ats::timestamptz[], :recorded_bys::text[]
) AS agreed (
    id, lead_id, channel, key, hint, wording, source, obtained_at, recorded_by
)
ORDER BY lead_id, channel
RETURNING id;

-- name: withdraw_opt_ins
-- Agreements taken back: those of these leads on a channel, and every other one of the same address.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = :by::text,
    withdrawn_reason = :reason::text
WHERE channel = :channel::text AND withdrawn_at IS NULL
    AND (lead_id = ANY(:lead_ids::uuid[]) OR key IN (
        SELECT key FROM opt_in AS own
        WHERE own.lead_id = ANY(:lead_ids::uuid[]) AND own.channel = :channel::text
            AND own.withdrawn_at IS NULL))
RETURNING id;

-- name: replace_opt_ins
-- What these leads agreed to on a channel gives way to a newer agreement; the row stays as proof.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = :by::text, withdrawn_reason = 'replaced'
WHERE channel = :channel::text AND lead_id = ANY(:lead_ids::uuid[]) AND withdrawn_at IS NULL;

-- name: list_opt_ins
-- All that these leads agreed to, live or taken back, newest first.
SELECT
    id, lead_id, channel, key, hint, wording, source, obtained_at, recorded_at, recorded_by,
    withdrawn_at, withdrawn_by, withdrawn_reason
FROM opt_in WHERE lead_id = ANY(:lead_ids::uuid[]) ORDER BY id DESC;

-- name: find_token
-- Whom a token speaks for.
SELECT intent_id, lead_id, address_key, hint, used_at
FROM unsubscribe_token WHERE token_hash = :token_hash::bytea;

-- name: use_token
-- The first use is remembered; later ones change nothing.
UPDATE unsubscribe_token SET used_at = :now::timestamptz
WHERE token_hash = :token_hash::bytea AND used_at IS NULL
RETURNING intent_id;
