-- fragment: suppression_columns
-- A line of the list as people read it.
id, kind, hint, reason, source, added_by AS by, created_at, lifted_at, voided_at

-- name: add_suppressions
-- Insert suppressions; one live line per key. One that is there notes which files say it too, and
-- whether anything but a file does; what very many files say is not for one of them to lift.
INSERT INTO suppression AS live (
    id, kind, key, hint, reason, source, import_ids, is_stated, added_by, created_at
)
SELECT
    id, kind, key, hint, reason, source, array_remove(ARRAY[import_id], NULL), import_id IS NULL,
    added_by, :now::timestamptz
FROM unnest(
    :ids::uuid[], :kinds::text[], :keys::bytea[], :hints::text[], :reasons::text[],
    :sources::text[], :import_ids::uuid[], :bys::text[]
) AS line (id, kind, key, hint, reason, source, import_id, added_by)
ORDER BY key
ON CONFLICT (key) WHERE lifted_at IS NULL DO UPDATE SET
    import_ids = live.import_ids || excluded.import_ids,
    is_stated = live.is_stated OR excluded.is_stated
        OR cardinality(live.import_ids) >= :most_imports::int
WHERE (excluded.is_stated AND NOT live.is_stated) OR (
    NOT live.import_ids @> excluded.import_ids
    AND cardinality(live.import_ids) <= :most_imports::int)
RETURNING key, id = ANY(:ids::uuid[]) AS is_new;

-- name: lift_of_import
-- Lift what one import alone says; of what others say too only the import's word is taken back.
WITH named AS (
    SELECT id, is_stated OR cardinality(import_ids) > 1 AS is_kept FROM suppression
    WHERE import_ids @> ARRAY[:import_id::uuid] AND lifted_at IS NULL
    ORDER BY key LIMIT :limit::int
    FOR UPDATE
), changed AS (
    UPDATE suppression SET
        import_ids = CASE WHEN is_kept THEN array_remove(import_ids, :import_id::uuid)
            ELSE import_ids END,
        lifted_at = CASE WHEN NOT is_kept THEN :now::timestamptz END,
        lifted_by = CASE WHEN NOT is_kept THEN :by::text END
    FROM named WHERE suppression.id = named.id
    RETURNING is_kept
)
SELECT
    count(*) FILTER (WHERE NOT is_kept) AS lifted, count(*) FILTER (WHERE is_kept) AS kept
FROM changed;

-- name: find_line_ids
-- The live lines of hashes.
SELECT key, id FROM suppression WHERE key = ANY(:keys::bytea[]) AND lifted_at IS NULL;

-- name: count_stopped
-- Ready sends that domains, with all below them, and channels stop.
WITH line AS (
    SELECT id, kind, value FROM unnest(:ids::uuid[], :kinds::text[], :values::text[])
        AS line (id, kind, value)
), address AS (
    SELECT channel, string_to_array(lower(split_part(to_address, '@', 2)), '.') AS labels
    FROM intent WHERE state = 'ready'
), covered AS (
    SELECT array_to_string(labels[start:], '.') AS domain
    FROM address CROSS JOIN LATERAL generate_subscripts(labels, 1) AS start
)
SELECT line.id, count(*)::int AS due_count
FROM line JOIN covered ON line.kind = 'domain' AND covered.domain = line.value
GROUP BY line.id
UNION ALL
SELECT line.id, count(*)::int
FROM line JOIN address ON line.kind = 'channel' AND address.channel = line.value
GROUP BY line.id;

-- name: list_lines
-- Live lines with their hashes, newest first.
SELECT key, {suppression_columns}
FROM suppression
WHERE id < :before::uuid AND lifted_at IS NULL
ORDER BY id DESC
LIMIT :limit::int;

-- name: list_lead_addresses
-- Every address of leads that are not deleted, by the leads' ids.
SELECT lead.id, ARRAY(
    SELECT DISTINCT field_value.value::jsonb #>> '{}' FROM field_value
    WHERE field_value.subject_id = lead.id AND field_value.field IN ('email', 'phone', 'mobile_phone')
        AND field_value.value <> 'null') AS addresses
FROM lead
WHERE lead.id > :after::uuid AND lead.deleted_at IS NULL
ORDER BY lead.id
LIMIT :limit::int;

-- name: find_suppression
-- The live line of a key.
SELECT {suppression_columns}
FROM suppression WHERE key = :key::bytea AND lifted_at IS NULL;

-- name: count_domain
-- What a domain covers, with all below it: people, and sends that are ready.
SELECT
    (SELECT count(*) FROM lead WHERE lead.merged_into IS NULL AND lead.deleted_at IS NULL
         AND right('.' || lower(lead.email), length(:domain::text) + 1)
             IN ('.' || :domain::text, '@' || :domain::text)) AS lead_count,
    (SELECT count(*) FROM intent WHERE intent.state = 'ready'
         AND right('.' || lower(intent.to_address), length(:domain::text) + 1)
             IN ('.' || :domain::text, '@' || :domain::text))
        AS due_send_count;

-- name: count_channel
-- What a channel covers: people with an address there, and sends that are ready.
SELECT
    (SELECT count(*) FROM lead WHERE lead.merged_into IS NULL AND lead.deleted_at IS NULL
         AND CASE :channel::text
             WHEN 'email' THEN lead.email IS NOT NULL
             ELSE EXISTS (SELECT FROM field_value WHERE field_value.subject_id = lead.id
                          AND field_value.field = ANY(:fields::text[])) END) AS lead_count,
    (SELECT count(*) FROM intent WHERE intent.state = 'ready' AND intent.channel = :channel::text)
        AS due_send_count;

-- name: list_suppressions
-- The list as people read it, newest first.
SELECT {suppression_columns}
FROM suppression
WHERE id < :before::uuid AND lifted_at IS NULL
    AND (:kind::text IS NULL OR kind = :kind::text)
ORDER BY id DESC
LIMIT :limit::int;

-- name: lift_suppression
-- Lifted, not deleted: who did it stays readable.
UPDATE suppression SET lifted_at = :now::timestamptz, lifted_by = :by::text
WHERE id = :id::uuid AND lifted_at IS NULL
RETURNING {suppression_columns};

-- name: count_void
-- Lines of a lost secret that nobody has lifted.
SELECT count(*) FROM suppression WHERE lifted_at IS NULL AND voided_at IS NOT NULL;

-- name: list_keyed_lines
-- Every line in force, as far as it can be hashed anew.
SELECT id, kind, hint, key FROM suppression WHERE lifted_at IS NULL AND voided_at IS NULL;

-- name: rekey_suppressions!
-- The hashes of lines under the present key.
UPDATE suppression SET key = renewed.key
FROM unnest(:ids::uuid[], :keys::bytea[]) AS renewed (id, key)
WHERE suppression.id = renewed.id;

-- name: void_suppressions!
-- Lines that nobody can hash anew: they stop nothing any more.
UPDATE suppression SET voided_at = :now::timestamptz WHERE id = ANY(:ids::uuid[]);

-- name: void_opt_ins!
-- Agreements to addresses that nobody can hash anew: they allow nothing any more.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = 'rekeying',
    withdrawn_reason = 'the master secret was replaced'
WHERE withdrawn_at IS NULL AND NOT key = ANY(:former::bytea[]);

-- name: rekey_opt_ins!
-- The hashes of agreements under the present key.
UPDATE opt_in SET key = renewed.present
FROM unnest(:former::bytea[], :present::bytea[]) AS renewed (former, present)
WHERE opt_in.key = renewed.former AND withdrawn_at IS NULL;

-- name: rekey_tokens!
-- Whom tokens stop, under the present key.
UPDATE unsubscribe_token SET address_key = renewed.present
FROM unnest(:former::bytea[], :present::bytea[]) AS renewed (former, present)
WHERE unsubscribe_token.address_key = renewed.former;

-- name: find_suppressed
-- Which of these keys nothing is sent to.
SELECT key FROM suppression
WHERE key = ANY(:keys::bytea[]) AND lifted_at IS NULL AND voided_at IS NULL;

-- name: find_opted_in
-- Which of these addresses have agreed to be written to on a channel.
SELECT key FROM opt_in
WHERE channel = :channel::text AND key = ANY(:keys::bytea[]) AND withdrawn_at IS NULL;

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
) AS agreement (
    id, lead_id, channel, key, hint, wording, source, obtained_at, recorded_by
)
ORDER BY lead_id, channel;

-- name: withdraw_opt_ins
-- Agreements taken back: those of these leads on a channel, and every other one of the same
-- addresses or of those given: sending asks for an agreement of the address, whoever's it is.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = :by::text,
    withdrawn_reason = :reason::text
WHERE channel = :channel::text AND withdrawn_at IS NULL
    AND (lead_id = ANY(:lead_ids::uuid[]) OR key IN (
        SELECT key FROM opt_in AS own
        WHERE own.lead_id = ANY(:lead_ids::uuid[]) AND own.channel = :channel::text
            AND own.withdrawn_at IS NULL)
        OR key = ANY(:keys::bytea[]))
RETURNING id;

-- name: withdraw_sourced_opt_ins!
-- Agreements of these leads that came from one source.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = :by::text, withdrawn_reason = :reason::text
WHERE withdrawn_at IS NULL AND lead_id = ANY(:lead_ids::uuid[])
    AND starts_with(source, :source::text);

-- name: replace_opt_ins
-- End a lead's agreement on a channel, and those of its other records to the same address, for a
-- newer one; the rows stay as proof.
UPDATE opt_in SET
    withdrawn_at = :now::timestamptz, withdrawn_by = :by::text, withdrawn_reason = 'replaced'
WHERE channel = :channel::text AND withdrawn_at IS NULL
    AND (lead_id = :lead_id::uuid OR (lead_id = ANY(:lead_ids::uuid[]) AND key = :key::bytea));

-- name: list_opt_ins
-- All that these leads agreed to, live or taken back, newest first.
SELECT
    id, lead_id, channel, key, hint, wording, source, obtained_at, recorded_at, recorded_by,
    withdrawn_at, withdrawn_by, withdrawn_reason
FROM opt_in WHERE lead_id = ANY(:lead_ids::uuid[]) ORDER BY id DESC;

-- name: find_mailbox_leads
-- The leads whose mailboxes addresses in lower case are, with all that are one with them.
WITH RECURSIVE up AS (
    SELECT identity.value AS address, lead.id, lead.merged_into
    FROM identity JOIN lead ON lead.id = identity.lead_id
    WHERE identity.kind IN ('email', 'mailbox') AND identity.value = ANY(:addresses::text[])
    UNION
    SELECT up.address, lead.id, lead.merged_into FROM up JOIN lead ON lead.id = up.merged_into
), down AS (
    SELECT address, id FROM up
    UNION
    SELECT down.address, lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT address, array_agg(id) AS lead_ids FROM down GROUP BY address;

-- name: add_tokens
-- Insert unsubscribe tokens; only hashes are stored.
INSERT INTO unsubscribe_token (token_hash, intent_id, lead_id, address_key, hint, created_at)
SELECT token_hash, intent_id, lead_id, address_key, hint, :now::timestamptz
FROM unnest(
    :token_hashes::bytea[], :intent_ids::uuid[], :lead_ids::uuid[], :address_keys::bytea[],
    :hints::text[]
) AS issued (token_hash, intent_id, lead_id, address_key, hint)
ORDER BY intent_id
ON CONFLICT DO NOTHING;

-- name: find_token
-- Find the person of a token.
SELECT intent_id, lead_id, address_key, hint, used_at
FROM unsubscribe_token WHERE token_hash = :token_hash::bytea;

-- name: use_token
-- The first use is remembered; later ones change nothing.
UPDATE unsubscribe_token SET used_at = :now::timestamptz
WHERE token_hash = :token_hash::bytea AND used_at IS NULL
RETURNING intent_id;

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
