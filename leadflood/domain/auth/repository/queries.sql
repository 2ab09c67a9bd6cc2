-- name: lock_subject
-- A lock with a name, until the transaction ends: one at a time claims, or rotates keys.
SELECT pg_advisory_xact_lock(hashtextextended('accounts:' || :subject::text, 0))

-- name: has_active_user
-- Whether anybody has claimed this installation.
SELECT EXISTS (SELECT FROM app_user WHERE state = 'active')

-- name: find_user
-- A user by id.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE id = :id::uuid

-- name: find_user_by_email
-- A user by the address they log in with.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE email = :email::text

-- name: lock_user
-- A user whom nobody else changes until the transaction ends.
SELECT id, version, email, name, role, state, password_hash, totp_secret, totp_confirmed_at,
    totp_last_step, created_at, updated_at, last_login_at
FROM app_user WHERE id = :id::uuid FOR UPDATE

-- name: add_user
-- A new user; no row when the address is taken.
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

-- name: update_user!
-- Write an administrator's change of a user.
UPDATE app_user SET
    name = :name::text, role = :role::text, state = :state::text, version = version + 1,
    updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: set_password!
-- A new password; an invited user is active with it.
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
-- The name users give themselves when they register.
UPDATE app_user SET name = :name::text WHERE id = :id::uuid

-- name: record_login!
-- When a user logged in last.
UPDATE app_user SET last_login_at = :now::timestamptz WHERE id = :id::uuid

-- name: set_totp!
-- A second factor to be confirmed; NULL removes it.
UPDATE app_user SET
    totp_secret = :secret::bytea, totp_confirmed_at = NULL, totp_last_step = 0,
    version = version + 1, updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: confirm_totp!
-- The second factor works: it is asked for from now on.
UPDATE app_user SET
    totp_confirmed_at = :now::timestamptz, totp_last_step = :step::bigint,
    version = version + 1, updated_at = :now::timestamptz
WHERE id = :id::uuid

-- name: spend_totp_step
-- A code works once: the step only rises.
UPDATE app_user SET totp_last_step = :step::bigint
WHERE id = :id::uuid AND totp_last_step < :step::bigint
RETURNING id

-- name: delete_recovery_codes!
-- The former recovery codes are void.
DELETE FROM recovery_code WHERE user_id = :user_id::uuid

-- name: add_recovery_codes!
-- New recovery codes.
INSERT INTO recovery_code (user_id, hash)
SELECT :user_id::uuid, hash FROM unnest(:hashes::bytea[]) AS code (hash)

-- name: spend_recovery_code
-- A recovery code works once.
DELETE FROM recovery_code WHERE user_id = :user_id::uuid AND hash = :hash::bytea RETURNING user_id

-- name: add_session!
-- A login.
INSERT INTO session (
    id, user_id, created_at, last_used_at, proved_at, expires_at, address, user_agent, token_hash,
    generation
)
VALUES (
    :id::uuid, :user_id::uuid, :now::timestamptz, :now::timestamptz, :now::timestamptz,
    :expires_at::timestamptz, :address::text, :user_agent::text, :token_hash::bytea, 1
)

-- name: end_oldest_sessions!
-- The newest sessions of a user are enough.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = 'too_many'
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz
    AND id NOT IN (
        SELECT id FROM session
        WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz
        ORDER BY id DESC LIMIT :limit::int)

-- name: has_proof
-- Whether the holder of a session proved lately who they are.
SELECT EXISTS (SELECT FROM session WHERE id = :id::uuid AND proved_at > :since::timestamptz)

-- name: record_session_proof!
-- The holder of a session proved again who they are.
UPDATE session SET proved_at = :now::timestamptz WHERE id = :id::uuid

-- name: lock_session
-- A session with the state of its user, for its renewal.
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
-- A user's sessions in force, newest first.
SELECT id, user_id, created_at, last_used_at, expires_at, address, user_agent
FROM session
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz
    AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: revoke_session
-- One session of a user is over.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = :reason::text
WHERE id = :id::uuid AND user_id = :user_id::uuid AND revoked_at IS NULL
    AND expires_at > :now::timestamptz
RETURNING id

-- name: revoke_sessions
-- All sessions of a user are over; NULL spares none.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = :reason::text
WHERE user_id = :user_id::uuid AND revoked_at IS NULL
    AND (:spared::uuid IS NULL OR id <> :spared::uuid)

-- name: prune_sessions
-- Delete sessions that ended long ago, a few thousand at once.
DELETE FROM session WHERE id = ANY (ARRAY (
    SELECT id FROM session WHERE expires_at < :before::timestamptz LIMIT :limit::int))

-- name: find_session_holder
-- The user of a session, with their present rights.
SELECT u.id AS user_id, u.email, u.role, t.sales_rep_sees
FROM session AS s JOIN app_user AS u ON u.id = s.user_id CROSS JOIN team_setting AS t
WHERE s.id = :id::uuid AND s.revoked_at IS NULL AND s.expires_at > :now::timestamptz
    AND u.state = 'active'

-- name: find_api_key_holder
-- The user of a key, with their present rights.
SELECT u.id AS user_id, u.email, u.role, t.sales_rep_sees, k.name, k.hash, k.scopes,
    k.last_used_at, k.expires_at
FROM api_key AS k JOIN app_user AS u ON u.id = k.user_id CROSS JOIN team_setting AS t
WHERE k.id = :id::uuid AND k.revoked_at IS NULL
    AND k.expires_at > :now::timestamptz AND u.state = 'active'

-- name: record_api_key_use!
-- When a key was used, at most once a minute.
UPDATE api_key SET last_used_at = :now::timestamptz
WHERE id = :id::uuid
    AND (last_used_at IS NULL OR last_used_at < :now::timestamptz - interval '1 minute')

-- name: add_api_key!
-- A new API key.
INSERT INTO api_key (id, user_id, name, hash, scopes, created_at, expires_at)
VALUES (
    :id::uuid, :user_id::uuid, :name::text, :hash::bytea, :scopes::text[], :now::timestamptz,
    :expires_at::timestamptz
)

-- name: count_api_keys
-- A user's keys that are in force.
SELECT count(*) FROM api_key
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz

-- name: list_living_keys
-- A user's keys that are in force, newest first.
SELECT id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at
FROM api_key
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz
ORDER BY id DESC

-- name: list_api_keys
-- Keys, newest first, by keyset; NULL: of everybody.
SELECT id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at
FROM api_key
WHERE (:user_id::uuid IS NULL OR user_id = :user_id::uuid)
    AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC LIMIT :limit::int

-- name: revoke_api_key
-- One key is over; NULL: whoever's it is.
UPDATE api_key SET revoked_at = :now::timestamptz
WHERE id = :id::uuid AND revoked_at IS NULL
    AND (:user_id::uuid IS NULL OR user_id = :user_id::uuid)
RETURNING id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at

-- name: revoke_api_keys
-- All keys of a user are over.
UPDATE api_key SET revoked_at = :now::timestamptz
WHERE user_id = :user_id::uuid AND revoked_at IS NULL AND expires_at > :now::timestamptz

-- name: delete_claim_links!
-- A fresh claim link replaces the former one; after the claim there is none.
DELETE FROM one_time_link WHERE kind = 'claim'

-- name: delete_links!
-- A fresh link of a user replaces the former ones.
DELETE FROM one_time_link WHERE user_id = :user_id::uuid

-- name: add_link!
-- A one-time link; its token is stored as a hash.
INSERT INTO one_time_link (hash, kind, user_id, removes_totp, created_at, expires_at)
VALUES (
    :hash::bytea, :kind::text, :user_id::uuid, :removes_totp::boolean, :now::timestamptz,
    :expires_at::timestamptz
)

-- name: find_link
-- A link that is valid, with its user.
SELECT l.kind, l.user_id, l.removes_totp, u.email, u.name
FROM one_time_link AS l LEFT JOIN app_user AS u ON u.id = l.user_id
WHERE l.hash = :hash::bytea AND l.expires_at > :now::timestamptz
    AND (l.user_id IS NULL OR u.state <> 'disabled')

-- name: consume_link
-- A link works once: the transaction that deletes it has it.
DELETE FROM one_time_link
WHERE hash = :hash::bytea AND expires_at > :now::timestamptz
RETURNING kind, user_id, removes_totp

-- name: prune_links
-- Delete links past their time, a few thousand at once.
DELETE FROM one_time_link WHERE hash = ANY (ARRAY (
    SELECT hash FROM one_time_link WHERE expires_at < :now::timestamptz LIMIT :limit::int))

-- name: list_signing_keys
-- The keys under which access tokens may still be valid, newest first.
SELECT kid, created_at, retired_at FROM signing_key
WHERE retired_at IS NULL OR retired_at > :since::timestamptz
ORDER BY created_at DESC, kid

-- name: retire_signing_keys!
-- No new token under the present key.
UPDATE signing_key SET retired_at = :now::timestamptz WHERE retired_at IS NULL

-- name: add_signing_key!
-- A key for new tokens: its secret is derived from the master secret, never stored.
INSERT INTO signing_key (kid, created_at) VALUES (:kid::text, :now::timestamptz)

-- name: prune_signing_keys!
-- Delete keys whose last token is long past.
DELETE FROM signing_key WHERE retired_at < :before::timestamptz

-- name: count_login_attempts
-- Recent failures for the account, from the origin, and for the account from there; and whether the
-- account has logged in from the network before.
SELECT
    (SELECT count(*) FROM login_attempt
        WHERE account = :account::bytea AND at > :since::timestamptz) AS for_account,
    (SELECT min(at) FROM login_attempt
        WHERE account = :account::bytea AND at > :since::timestamptz) AS account_since,
    (SELECT count(*) FROM login_attempt
        WHERE origin = :origin::text AND at > :since::timestamptz) AS from_origin,
    (SELECT min(at) FROM login_attempt
        WHERE origin = :origin::text AND at > :since::timestamptz) AS origin_since,
    (SELECT count(*) FROM login_attempt
        WHERE account = :account::bytea AND origin = :origin::text
            AND at > :since::timestamptz) AS for_pair,
    (SELECT max(at) FROM login_attempt
        WHERE account = :account::bytea AND origin = :origin::text
            AND at > :since::timestamptz) AS pair_latest,
    EXISTS (SELECT FROM known_address
        WHERE user_id = :user_id::uuid AND address = :network::text) AS is_known

-- name: add_login_attempt!
-- An attempt counts as a failure until it succeeds.
INSERT INTO login_attempt (id, at, account, origin)
VALUES (:id::uuid, :now::timestamptz, :account::bytea, :origin::text)

-- name: delete_login_attempt!
-- The attempt succeeded, or was no guess.
DELETE FROM login_attempt WHERE id = :id::uuid

-- name: prune_login_attempts
-- Delete attempts that no longer count, a few thousand at once.
DELETE FROM login_attempt WHERE id = ANY (ARRAY (
    SELECT id FROM login_attempt WHERE at < :before::timestamptz LIMIT :limit::int))

-- name: record_known_address!
-- A user logged in from here.
INSERT INTO known_address (user_id, address, last_at)
VALUES (:user_id::uuid, :address::text, :now::timestamptz)
ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at

-- name: trim_known_addresses!
-- The latest addresses of a user are enough.
DELETE FROM known_address
WHERE user_id = :user_id::uuid AND address NOT IN (
    SELECT address FROM known_address WHERE user_id = :user_id::uuid
    ORDER BY last_at DESC, address LIMIT :limit::int)

-- name: list_lead_owners
-- The owners of leads and imports; a merged lead is followed to its survivor.
WITH RECURSIVE chain AS (
    SELECT lead.id AS requested, lead.merged_into, lead.owner
    FROM lead WHERE lead.id = ANY(:ids::uuid[])
    UNION ALL
    SELECT chain.requested, lead.merged_into, lead.owner
    FROM chain JOIN lead ON lead.id = chain.merged_into
)
SELECT requested AS id, owner FROM chain WHERE merged_into IS NULL AND owner IS NOT NULL
UNION ALL
SELECT run_id AS id, owner FROM import WHERE run_id = ANY(:ids::uuid[]) AND owner IS NOT NULL

-- name: find_proof
-- What the master secret of this database proves itself by.
SELECT proof FROM master_secret

-- name: record_proof!
-- The proof of the master secret, in place of the former one.
INSERT INTO master_secret (proof, proved_at) VALUES (:proof::bytea, :now::timestamptz)
ON CONFLICT (is_only) DO UPDATE SET proof = excluded.proof, proved_at = excluded.proved_at

-- name: count_living_nodes
-- Nodes that beat within half a minute, which is longer than it takes to bury one.
SELECT count(*) FROM node WHERE last_beat_at > clock_timestamp() - interval '30 seconds'

-- name: delete_signing_keys!
-- The master secret is another: no token of before can be verified.
DELETE FROM signing_key

-- name: revoke_all_sessions!
-- The master secret is another: nobody is logged in.
UPDATE session SET revoked_at = :now::timestamptz, revoked_reason = 'secret_replaced'
WHERE revoked_at IS NULL

-- name: delete_all_totp!
-- The master secret is another: what was sealed cannot be opened.
UPDATE app_user SET
    totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = 0, version = version + 1,
    updated_at = :now::timestamptz
WHERE totp_secret IS NOT NULL

-- name: delete_all_recovery_codes!
-- The master secret is another: their hashes fit no code.
DELETE FROM recovery_code
