-- name: add_audit_events!
-- Privileged acts, in the transaction that does them.
INSERT INTO audit_event (
    id, at, actor_kind, actor_id, actor, address, request_id, action, subject_kind, subject_id,
    detail
)
SELECT
    id, :now::timestamptz, :actor_kind::text, :actor_id::uuid, :actor::text, :address::text,
    :request_id::text, action, subject_kind, subject_id, detail
FROM unnest(
    :ids::uuid[], :actions::text[], :subject_kinds::text[], :subject_ids::text[], :details::text[]
) AS act (id, action, subject_kind, subject_id, detail)

-- name: lock_accounts
-- One at a time: claiming, and what must leave an administrator. Ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('accounts:' || :what::text, 0))

-- name: has_active_user
-- Whether anybody has claimed this installation.
SELECT EXISTS (SELECT FROM app_user WHERE state = 'active')

-- name: find_user
-- A person by id.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE id = :id::uuid

-- name: find_user_by_email
-- A person by the address he logs in with.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE email = :email::text

-- name: lock_user
-- A person, not to be changed by others until the transaction ends.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE id = :id::uuid FOR UPDATE

-- name: list_users
-- People, newest first, by keyset; NULL filters nothing.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user
WHERE (:before::uuid IS NULL OR id < :before::uuid)
    AND (:role::text IS NULL OR role = :role::text)
    AND (:state::text IS NULL OR state = :state::text)
    AND (
        :text::text IS NULL
        OR position(lower(:text::text) IN lower(email || ' ' || name)) > 0
    )
ORDER BY id DESC LIMIT :limit::int

-- name: add_user
-- A new person; nothing when the address is taken.
INSERT INTO app_user (
    id, version, email, name, role, state, password_hash, password_changed_at, created_at,
    updated_at
)
VALUES (
    :id::uuid, 1, :email::text, :name::text, :role::text, :state::text, :password_hash::text,
    CASE WHEN :password_hash::text IS NULL THEN NULL ELSE :now::timestamptz END,
    :now::timestamptz, :now::timestamptz
)
ON CONFLICT (email) DO NOTHING
RETURNING id

-- name: change_user!
-- What an administrator may change of a person.
UPDATE app_user SET
    name = :name::text, role = :role::text, state = :state::text, version = version + 1,
    updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: set_password!
-- A new password; who was invited is active with it.
UPDATE app_user SET
    password_hash = :password_hash::text, password_changed_at = :now::timestamptz,
    state = CASE WHEN state = 'invited' THEN 'active' ELSE state END,
    version = version + 1, updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: renew_password_hash!
-- The same password under newer parameters; not when it was changed meanwhile.
UPDATE app_user SET password_hash = :password_hash::text
WHERE id = :id::uuid AND password_hash = :former::text

-- name: set_user_name!
-- The name a person gives himself when he registers.
UPDATE app_user SET name = :name::text WHERE id = :id::uuid

-- name: note_login!
-- When a person logged in last.
UPDATE app_user SET last_login_at = :now::timestamptz WHERE id = :id::uuid

-- name: count_other_admins
-- The active administrators beside one person.
SELECT count(*) FROM app_user
WHERE role = 'ADMIN' AND state = 'active' AND id <> :id::uuid

-- name: set_totp!
-- A second factor that is not confirmed yet; NULL takes it away.
UPDATE app_user SET
    totp_secret = :secret::bytea, totp_confirmed_at = NULL, totp_last_step = 0,
    version = version + 1, updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: confirm_totp!
-- The second factor was shown to work: it is asked for from now on.
UPDATE app_user SET
    totp_confirmed_at = :now::timestamptz, totp_last_step = :step::bigint,
    version = version + 1, updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: spend_totp_step
-- A code works once: the step only rises.
UPDATE app_user SET totp_last_step = :step::bigint
WHERE id = :id::uuid AND totp_last_step < :step::bigint
RETURNING id

-- name: drop_recovery_codes!
-- The former recovery codes are void.
DELETE FROM recovery_code WHERE user_id = :user_id::uuid

-- name: add_recovery_codes!
-- New recovery codes.
INSERT INTO recovery_code (user_id, hash)
SELECT :user_id::uuid, hash FROM unnest(:hashes::bytea[]) AS made (hash)

-- name: spend_recovery_code
-- A recovery code works once.
DELETE FROM recovery_code WHERE user_id = :user_id::uuid AND hash = :hash::bytea RETURNING user_id

-- name: add_session!
-- A login.
INSERT INTO session (
    id, user_id, created_at, last_used_at, expires_at, address, user_agent, token_hash, generation
)
VALUES (
    :id::uuid, :user_id::uuid, :now::timestamptz, :now::timestamptz, :expires_at::timestamptz,
    :address::text, :user_agent::text, :token_hash::bytea, 1
)

-- name: lock_session
-- A session with its person, for the one who renews it.
SELECT s.id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.token_hash, s.generation,
    u.email, u.state
FROM session AS s JOIN app_user AS u ON u.id = s.user_id
WHERE s.id = :id::uuid FOR UPDATE OF s

-- name: renew_session!
-- The next refresh token of a session.
UPDATE session SET
    token_hash = :token_hash::bytea, generation = generation + 1,
    last_used_at = :now::timestamptz, expires_at = :expires_at::timestamptz,
    address = :address::text
WHERE id = :id::uuid

-- name: list_sessions
-- A person's sessions in force, newest first.
SELECT id, user_id, created_at, last_used_at, expires_at, address, user_agent
FROM session
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz
    AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: revoke_session
-- One session of a person is over.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = :reason::text
WHERE id = :id::uuid AND user_id = :user_id::uuid AND revoked_at IS NULL
    AND expires_at > :now::timestamptz
RETURNING id

-- name: revoke_sessions
-- All sessions of a person are over; NULL spares none.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = :reason::text
WHERE user_id = :user_id::uuid AND revoked_at IS NULL
    AND (:spared::uuid IS NULL OR id <> :spared::uuid)

-- name: prune_sessions
-- Forget sessions that ended long ago, a few thousand at once.
DELETE FROM session WHERE id = ANY (ARRAY (
    SELECT id FROM session WHERE expires_at < :before::timestamptz LIMIT :limit::int))

-- name: find_session_holder
-- Whose session this is, and what he may now.
SELECT u.id AS user_id, u.email, u.role, t.sales_rep_sees
FROM session AS s JOIN app_user AS u ON u.id = s.user_id CROSS JOIN team_setting AS t
WHERE s.id = :id::uuid AND s.revoked_at IS NULL AND s.expires_at > :now::timestamptz
    AND u.state = 'active'

-- name: find_key_holder
-- Whose key this is, and what he may now.
SELECT u.id AS user_id, u.email, u.role, t.sales_rep_sees, k.name, k.hash, k.scopes,
    k.last_used_at, k.expires_at
FROM api_key AS k JOIN app_user AS u ON u.id = k.user_id CROSS JOIN team_setting AS t
WHERE k.id = :id::uuid AND k.revoked_at IS NULL
    AND (k.expires_at IS NULL OR k.expires_at > :now::timestamptz) AND u.state = 'active'

-- name: note_key_use!
-- When a key was used, at most once a minute.
UPDATE api_key SET last_used_at = :now::timestamptz
WHERE id = :id::uuid
    AND (last_used_at IS NULL OR last_used_at < :now::timestamptz - interval '1 minute')

-- name: add_key!
-- A new API key.
INSERT INTO api_key (id, user_id, name, hash, scopes, created_at, expires_at)
VALUES (
    :id::uuid, :user_id::uuid, :name::text, :hash::bytea, :scopes::text[], :now::timestamptz,
    :expires_at::timestamptz
)

-- name: count_keys
-- A person's keys that are in force.
SELECT count(*) FROM api_key
WHERE user_id = :user_id::uuid AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > :now::timestamptz)

-- name: list_keys
-- Keys, newest first, by keyset; NULL: of everybody.
SELECT id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at
FROM api_key
WHERE (:user_id::uuid IS NULL OR user_id = :user_id::uuid)
    AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: revoke_key
-- One key is over; NULL: whoever's it is.
UPDATE api_key SET revoked_at = :now::timestamptz
WHERE id = :id::uuid AND revoked_at IS NULL
    AND (:user_id::uuid IS NULL OR user_id = :user_id::uuid)
RETURNING id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at

-- name: revoke_keys
-- All keys of a person are over.
UPDATE api_key SET revoked_at = :now::timestamptz
WHERE user_id = :user_id::uuid AND revoked_at IS NULL

-- name: drop_claim_links!
-- A fresh claim link replaces the former one; after the claim there is none.
DELETE FROM one_time_link WHERE kind = 'claim'

-- name: drop_links!
-- A fresh link of a person replaces his former ones.
DELETE FROM one_time_link WHERE user_id = :user_id::uuid

-- name: add_link!
-- A one-time link; its token is kept as a hash.
INSERT INTO one_time_link (hash, kind, user_id, removes_totp, created_at, expires_at)
VALUES (
    :hash::bytea, :kind::text, :user_id::uuid, :removes_totp::boolean, :now::timestamptz,
    :expires_at::timestamptz
)

-- name: find_link
-- A link that still works, with its person.
SELECT l.kind, l.user_id, l.removes_totp, u.email, u.name
FROM one_time_link AS l LEFT JOIN app_user AS u ON u.id = l.user_id
WHERE l.hash = :hash::bytea AND l.expires_at > :now::timestamptz
    AND (l.user_id IS NULL OR u.state <> 'disabled')

-- name: take_link
-- A link works once: who deletes it has it.
DELETE FROM one_time_link
WHERE hash = :hash::bytea AND expires_at > :now::timestamptz
RETURNING kind, user_id, removes_totp

-- name: prune_links
-- Forget links past their time, a few thousand at once.
DELETE FROM one_time_link WHERE hash = ANY (ARRAY (
    SELECT hash FROM one_time_link WHERE expires_at < :now::timestamptz LIMIT :limit::int))

-- name: list_signing_keys
-- The keys under which access tokens may still be valid, newest first.
SELECT kid, created_at, retired_at, proof FROM signing_key
WHERE retired_at IS NULL OR retired_at > :since::timestamptz
ORDER BY created_at DESC, kid

-- name: retire_signing_keys!
-- No new token under the present key.
UPDATE signing_key SET retired_at = :now::timestamptz WHERE retired_at IS NULL

-- name: add_signing_key!
-- A key for new tokens: its secret is derived from the master secret, never stored.
INSERT INTO signing_key (kid, created_at, proof)
VALUES (:kid::text, :now::timestamptz, :proof::bytea)

-- name: prune_signing_keys!
-- Forget keys whose last token is long past.
DELETE FROM signing_key WHERE retired_at < :before::timestamptz

-- name: count_attempts
-- Tries of late that did not succeed: for the account, from the address; and whether the account
-- has logged in from there before.
SELECT
    (SELECT count(*) FROM login_attempt
        WHERE account = :account::bytea AND at > :since::timestamptz) AS for_account,
    (SELECT min(at) FROM login_attempt
        WHERE account = :account::bytea AND at > :since::timestamptz) AS account_since,
    (SELECT count(*) FROM login_attempt
        WHERE address = :address::text AND at > :since::timestamptz) AS from_address,
    (SELECT min(at) FROM login_attempt
        WHERE address = :address::text AND at > :since::timestamptz) AS address_since,
    EXISTS (SELECT FROM known_address
        WHERE user_id = :user_id::uuid AND address = :address::text) AS is_known

-- name: add_attempt!
-- A try begins as a failure; success takes it away.
INSERT INTO login_attempt (id, at, account, address)
VALUES (:id::uuid, :now::timestamptz, :account::bytea, :address::text)

-- name: drop_attempt!
-- The try succeeded.
DELETE FROM login_attempt WHERE id = :id::uuid

-- name: prune_attempts
-- Forget tries that no longer count, a few thousand at once.
DELETE FROM login_attempt WHERE id = ANY (ARRAY (
    SELECT id FROM login_attempt WHERE at < :before::timestamptz LIMIT :limit::int))

-- name: note_known_address!
-- A person logged in from here.
INSERT INTO known_address (user_id, address, last_at)
VALUES (:user_id::uuid, :address::text, :now::timestamptz)
ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at

-- name: trim_known_addresses!
-- The latest addresses of a person are enough.
DELETE FROM known_address
WHERE user_id = :user_id::uuid AND address NOT IN (
    SELECT address FROM known_address WHERE user_id = :user_id::uuid
    ORDER BY last_at DESC, address LIMIT :keeps::int)

-- name: find_team
-- What holds for the whole team.
SELECT version, sales_rep_sees FROM team_setting

-- name: lock_team
-- What holds for the whole team, for the one who changes it.
SELECT version, sales_rep_sees FROM team_setting FOR UPDATE

-- name: change_team!
-- What holds from now on.
UPDATE team_setting SET sales_rep_sees = :sales_rep_sees::text, version = version + 1

-- name: find_thing_owners
-- Whose leads and imports these are; a merged lead is followed to its survivor.
WITH RECURSIVE chain AS (
    SELECT lead.id AS asked, lead.merged_into, lead.owner
    FROM lead WHERE lead.id = ANY(:ids::uuid[])
    UNION ALL
    SELECT chain.asked, lead.merged_into, lead.owner
    FROM chain JOIN lead ON lead.id = chain.merged_into
)
SELECT asked AS id, owner FROM chain WHERE merged_into IS NULL AND owner IS NOT NULL
UNION ALL
SELECT run_id AS id, owner FROM import WHERE run_id = ANY(:ids::uuid[]) AND owner IS NOT NULL

-- fragment: audit_events
-- Acts, whole.
SELECT id, at, actor_kind, actor_id, actor, address, request_id, action, subject_kind, subject_id,
    detail
FROM audit_event

-- name: list_audit_events
-- The newest acts, by what the other queries of their kind do not name; ids are in order of time.
{audit_events}
WHERE id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_action
-- The newest acts of a kind.
{audit_events}
WHERE action = :action::text AND id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_subject
-- The newest acts done to one thing.
{audit_events}
WHERE subject_id = :subject_id::text AND id < :before::uuid AND id >= :since::uuid
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:action::text IS NULL OR action = :action::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_actor
-- The newest acts of a user or a key.
{audit_events}
WHERE actor_id = :actor_id::uuid AND id < :before::uuid AND id >= :since::uuid
    AND (:action::text IS NULL OR action = :action::text)
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:subject_id::text IS NULL OR subject_id = :subject_id::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: list_audit_events_of_operator
-- The newest acts of whoever holds the operator's token.
{audit_events}
WHERE actor_id IS NULL AND actor_kind = :actor_kind::text
    AND id < :before::uuid AND id >= :since::uuid
    AND (:action::text IS NULL OR action = :action::text)
    AND (:subject_kind::text IS NULL OR subject_kind = :subject_kind::text)
    AND (:subject_id::text IS NULL OR subject_id = :subject_id::text)
ORDER BY id DESC
LIMIT :limit::int

-- name: forget_signing_keys!
-- The master secret is another: no token of before can be checked.
DELETE FROM signing_key

-- name: end_all_sessions!
-- The master secret is another: nobody is logged in.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = 'secret_replaced'
WHERE revoked_at IS NULL

-- name: forget_factors!
-- The master secret is another: what was sealed cannot be opened.
UPDATE app_user SET
    totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = 0, version = version + 1,
    updated_at = :now::timestamptz
WHERE totp_secret IS NOT NULL

-- name: forget_recovery_codes!
-- The master secret is another: their hashes fit no code.
DELETE FROM recovery_code
