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

-- name: count_other_admins
-- The active administrators beside one person.
SELECT count(*) FROM app_user
WHERE role = 'ADMIN' AND state = 'active' AND id <> :id::uuid

-- name: find_team
-- What holds for the whole team.
SELECT version, sales_rep_sees FROM team_setting

-- name: lock_team
-- What holds for the whole team, for the one who changes it.
SELECT version, sales_rep_sees FROM team_setting FOR UPDATE

-- name: change_team!
-- What holds from now on.
UPDATE team_setting SET sales_rep_sees = :sales_rep_sees::text, version = version + 1
