-- name: add_intents
-- One intent per message and step.
INSERT INTO intent (
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key, repeats,
    state, latest_useful_at, created_at
)
SELECT
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key, repeats,
    'ready', latest_useful_at, :now::timestamptz
FROM unnest(
    :ids::uuid[], :message_ids::uuid[], :lead_ids::uuid[], :run_ids::uuid[], :steps::int[],
    :references::text[], :channels::text[], :to_addresses::text[], :address_keys::bytea[],
    :repeats::bool[], :latest_useful_ats::timestamptz[]
) AS new (
    id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key, repeats,
    latest_useful_at
)
ORDER BY message_id
ON CONFLICT (message_id, step) DO NOTHING
RETURNING id;

-- name: find_intents
-- Find what a sending needs: the intent with the text of its message.
SELECT
    intent.id, intent.message_id, intent.lead_id, intent.run_id, intent.step, intent.reference,
    intent.channel, intent.to_address, message.to_name, message.subject, message.body,
    message.template_id, message.parameters, intent.state, intent.claim, intent.job_id,
    intent.latest_useful_at, intent.code, intent.detail, intent.provider, intent.remote_id,
    intent.sending_at, intent.ended_at
FROM intent JOIN message ON message.id = intent.message_id
WHERE intent.id = ANY(:ids::uuid[]);

-- name: find_intent
-- The sending of a message's step.
SELECT id FROM intent WHERE message_id = :message_id::uuid AND step = :step::int;

-- name: lock_intents
-- Locked in the order of their ids before their state is changed.
SELECT id, message_id, lead_id, run_id, state, published_state, claim, job_id, code
FROM intent WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: update_intents
-- Record the outcomes of sendings; empty words leave what was written before.
UPDATE intent SET
    state = change.state,
    published_state = CASE WHEN change.is_published THEN change.state ELSE published_state END,
    code = change.code,
    detail = CASE WHEN intent.state = change.state THEN intent.detail ELSE change.detail END,
    provider = coalesce(nullif(change.provider, ''), intent.provider),
    remote_id = coalesce(nullif(change.remote_id, ''), intent.remote_id),
    claim = CASE
        WHEN intent.state = 'ready' THEN coalesce(change.claim, intent.claim)
        ELSE coalesce(intent.claim, change.claim)
    END,
    job_id = CASE
        WHEN intent.state = 'ready' THEN coalesce(change.job_id, intent.job_id)
        ELSE coalesce(intent.job_id, change.job_id)
    END,
    sending_at = CASE
        WHEN change.state = 'ready' THEN NULL
        WHEN change.state IN ('accepted', 'unknown')
            THEN coalesce(intent.sending_at, :now::timestamptz)
        ELSE intent.sending_at
    END,
    ended_at = CASE
        WHEN change.state IN ('ready', 'sending', 'unknown') THEN NULL
        ELSE coalesce(intent.ended_at, :now::timestamptz)
    END,
    touch = CASE WHEN change.state = 'ready' THEN NULL ELSE intent.touch END,
    resolved_by = coalesce(nullif(change.resolved_by, ''), intent.resolved_by)
FROM unnest(
    :ids::uuid[], :states::text[], :are_published::bool[], :codes::text[], :details::text[],
    :providers::text[], :remote_ids::text[], :claims::bigint[], :job_ids::uuid[],
    :resolved_bys::text[]
) AS change (
    id, state, is_published, code, detail, provider, remote_id, claim, job_id, resolved_by
)
WHERE intent.id = change.id;

-- name: reopen_refused
-- Refused for certain, so nothing arrived: ready for another job.
UPDATE intent SET
    state = 'ready', published_state = 'ready', code = '', detail = '', claim = NULL,
    job_id = NULL, sending_at = NULL, ended_at = NULL, touch = NULL,
    latest_useful_at = :latest_useful_at::timestamptz
WHERE id = ANY(:ids::uuid[]) AND state = 'refused';

-- name: share_sending_lock
-- Taken by every authorize: `hold` waits for all of them, and they for nobody else.
SELECT pg_advisory_xact_lock_shared(:key::bigint);

-- name: own_sending_lock
-- Taken by hold and release: waits until no authorize is under way.
SELECT pg_advisory_xact_lock(:key::bigint);

-- name: doubt_restored
-- What was ready in the copy may have been sent after it was made (clocks may be some seconds
-- apart); those in sending are closed as lost when their claim is. Asked for since it was written.
UPDATE intent SET
    state = 'unknown', code = 'effect.restored', claim = coalesce(claim, 0),
    job_id = coalesce(job_id, '00000000-0000-0000-0000-000000000000'), sending_at = created_at,
    detail = 'the database was restored: it may have left before'
WHERE state = 'ready' AND created_at <= :restored_at::timestamptz + interval '10 s';

-- name: lock_sends
-- The last look before the outside is called; keys of addresses are written in lower case.
SELECT
    intent.id, intent.state, intent.claim, intent.job_id, intent.lead_id, intent.step,
    intent.channel, intent.to_address, intent.address_key, intent.repeats, intent.latest_useful_at,
    (
        SELECT identity.lead_id FROM identity
        WHERE identity.kind IN ('email', 'mailbox') AND identity.value = lower(intent.to_address)
        ORDER BY identity.kind LIMIT 1
    ) AS mailbox_lead_id,
    message.state = 'approved' AS is_approved,
    lead.id IS NULL AS lead_gone, lead.merged_into IS NOT NULL AS lead_merged,
    lead.deleted_at IS NOT NULL AS lead_deleted,
    coalesce(run.cancelled_at IS NOT NULL, true) AS run_cancelled,
    coalesce(run.sends = 'never', true) AS never_sends,
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
    sending_at = :now::timestamptz, provider = started.provider, reference = started.reference,
    touch = started.touch, code = '', detail = ''
FROM unnest(
    :ids::uuid[], :claims::bigint[], :job_ids::uuid[], :providers::text[], :references::text[],
    :touches::int[]
) AS started (id, claim, job_id, provider, reference, touch)
WHERE intent.id = started.id;

-- name: take_contact_keys
-- Whoever sends a first message takes the keys of its person and its mailbox, in one order; the
-- second waits for the first, and looks at what left once it has them.
INSERT INTO contact_key (key, intent_id)
SELECT key, intent_id FROM unnest(:keys::bytea[], :intent_ids::uuid[]) AS taken (key, intent_id)
ORDER BY key
ON CONFLICT (key) DO UPDATE SET intent_id = excluded.intent_id;

-- name: find_touches
-- First messages that left, or may have, for each of these contacts: to one of its mailboxes, or to
-- a lead that is the person.
SELECT
    contact.id AS contact_id, intent.message_id, intent.state, intent.sending_at, intent.touch
FROM unnest(:mailbox_ids::uuid[], :address_keys::bytea[]) AS contact (id, address_key)
JOIN intent ON intent.address_key = contact.address_key AND intent.step = 1
    AND intent.state IN ('sending', 'accepted', 'unknown')
WHERE intent.id <> contact.id
UNION ALL
SELECT contact.id, intent.message_id, intent.state, intent.sending_at, NULL
FROM unnest(:person_ids::uuid[], :lead_ids::uuid[]) AS contact (id, lead_id)
JOIN intent ON intent.lead_id = contact.lead_id AND intent.step = 1
    AND intent.state IN ('sending', 'accepted', 'unknown')
WHERE intent.id <> contact.id;

-- name: cancel_intents
-- Refused for good; told when the job ends.
UPDATE intent SET
    state = 'cancelled', code = refused.code, detail = refused.detail, ended_at = :now::timestamptz,
    earlier_message_id = refused.earlier_message_id
FROM unnest(:ids::uuid[], :codes::text[], :details::text[], :earlier_message_ids::uuid[])
    AS refused (id, code, detail, earlier_message_id)
WHERE intent.id = refused.id AND intent.state = 'ready';

-- name: park_intents
-- What waits for a person has no job; it says what it waits for.
UPDATE intent SET code = parked.code, detail = parked.detail, needed_micros = parked.needed_micros
FROM unnest(:ids::uuid[], :codes::text[], :details::text[], :needed_micros::bigint[])
    AS parked (id, code, detail, needed_micros)
WHERE intent.id = parked.id AND intent.state = 'ready';

-- name: lock_waiting
-- Those that need not wait any more: what they need is there, or they do not go at all. A second
-- node leaves those of the first alone.
SELECT intent.id, intent.message_id, intent.lead_id, intent.run_id,
    run.id IS NULL OR run.cancelled_at IS NOT NULL AS run_cancelled,
    intent.latest_useful_at < :now::timestamptz AS is_too_late
FROM intent
LEFT JOIN run ON run.id = intent.run_id
LEFT JOIN budget AS of_run ON of_run.scope = 'run:' || intent.run_id
LEFT JOIN budget AS of_lead ON of_lead.scope = 'lead:' || intent.run_id || ':' || intent.lead_id
WHERE intent.state = 'ready' AND intent.code IN ('waits_for_setup', 'waits_for_money')
    AND (:run_id::uuid IS NULL OR intent.run_id = :run_id::uuid)
    AND (
        run.id IS NULL OR run.cancelled_at IS NOT NULL
        OR intent.latest_useful_at < :now::timestamptz
        OR intent.code = 'waits_for_setup' AND intent.channel = ANY(:channels::text[])
        OR intent.code = 'waits_for_money'
            AND (run.cap_micros IS NULL OR intent.needed_micros <= run.cap_micros
                - coalesce(of_run.spent_micros + of_run.reserved_micros, 0))
            AND (run.lead_cap_micros IS NULL OR intent.needed_micros <= run.lead_cap_micros
                - coalesce(of_lead.spent_micros + of_lead.reserved_micros, 0))
    )
ORDER BY intent.id
LIMIT :limit::int
FOR NO KEY UPDATE OF intent SKIP LOCKED;

-- name: end_waiting
-- They go to work again.
UPDATE intent SET code = '', detail = '', needed_micros = NULL
WHERE id = ANY(:ids::uuid[]) AND state = 'ready';

-- name: summarize_waiting
-- The ready messages that wait, by what they wait for.
SELECT code, detail, count(*) AS count FROM intent
WHERE state = 'ready' AND code IN ('waits_for_setup', 'waits_for_money')
GROUP BY code, detail ORDER BY count(*) DESC, detail LIMIT :limit::int;

-- name: repeat_intent
-- A person asked by name that it goes although its recipient got a first message before.
UPDATE intent SET
    repeats = true, state = 'ready', published_state = 'ready', code = '', detail = '',
    earlier_message_id = NULL, ended_at = NULL, claim = NULL, job_id = NULL, sending_at = NULL,
    latest_useful_at = :latest_useful_at::timestamptz
WHERE message_id = :message_id::uuid AND step = :step::int
    AND (state = 'ready' OR (state = 'cancelled' AND code = 'already_written'))
RETURNING id;

-- name: list_suppressed
-- Cancelled because somebody is suppressed, and still useful; newest first.
SELECT id FROM intent
WHERE state = 'cancelled' AND code = 'suppressed' AND latest_useful_at > :now::timestamptz
ORDER BY id DESC LIMIT :limit::int;

-- name: restore_intents
-- Ready again, as they were approved.
UPDATE intent SET
    state = 'ready', published_state = 'ready', code = '', detail = '', ended_at = NULL,
    claim = NULL, job_id = NULL, sending_at = NULL
WHERE id = ANY(:ids::uuid[]) AND state = 'cancelled' AND code = 'suppressed'
RETURNING id, message_id, lead_id, run_id;

-- name: list_lost
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
    WHERE published_state <> state AND state NOT IN ('ready', 'sending')
        AND NOT EXISTS (SELECT FROM job WHERE job.id = intent.job_id)
    ORDER BY id
    LIMIT :limit::int
);

-- name: find_switch
-- Find who holds or released sending, and why.
SELECT state, by_whom, reason, changed_at FROM switch WHERE name = 'sending';

-- name: write_switch
-- The switch outlives processes and holds for all of them.
INSERT INTO switch (name, state, by_whom, reason, changed_at)
VALUES ('sending', :state::text, :by::text, :reason::text, :now::timestamptz)
ON CONFLICT (name) DO UPDATE SET
    state = excluded.state, by_whom = excluded.by_whom, reason = excluded.reason,
    changed_at = excluded.changed_at;

-- name: list_addresses
-- Every address that was written to, by the hash that is kept of it.
SELECT DISTINCT ON (address_key) address_key, channel, to_address
FROM intent ORDER BY address_key;

-- name: rekey_intents!
-- The hashes of addresses under the present key.
UPDATE intent SET address_key = renewed.present
FROM unnest(:former::bytea[], :present::bytea[]) AS renewed (former, present)
WHERE intent.address_key = renewed.former;

-- name: list_open_recipients
-- Whom the intents are for that may still be sent.
SELECT id, lead_id, channel, to_address FROM intent
WHERE state IN ('ready', 'sending', 'unknown') ORDER BY id;

-- name: list_intents
-- The intents in one state, oldest first.
SELECT id, message_id, lead_id, channel, to_address, reference, state, code, sending_at
FROM intent
WHERE state = :state::text AND id > :after::uuid
    AND (:channel::text IS NULL OR channel = :channel::text)
    AND (:sent_before::timestamptz IS NULL OR sending_at < :sent_before::timestamptz)
ORDER BY id
LIMIT :limit::int;

-- name: count_intents
-- How many intents are in each state.
SELECT state, count(*) AS count FROM intent GROUP BY state;

-- name: summarize_unknown
-- The sends that may have arrived, by channel.
SELECT channel, count(*) AS count, min(sending_at) AS oldest_at, max(sending_at) AS newest_at
FROM intent WHERE state = 'unknown' GROUP BY channel ORDER BY channel;
