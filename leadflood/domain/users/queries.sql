-- name: list_users
-- Users without their credentials, newest first, by keyset; NULL filters nothing.
SELECT id, version, email, name, role, state, totp_confirmed_at IS NOT NULL AS has_totp,
    created_at, updated_at, last_login_at
FROM app_user
WHERE (:before::uuid IS NULL OR id < :before::uuid)
    AND (:role::text IS NULL OR role = :role::text)
    AND (:state::text IS NULL OR state = :state::text)
    AND (
        :text::text IS NULL
        OR position(lower(:text::text) IN lower(email || ' ' || name)) > 0
    )
ORDER BY id DESC LIMIT :limit::int

-- name: lock_administrators
-- One transaction at a time may change who administers: there must be one left.
SELECT pg_advisory_xact_lock(hashtextextended('accounts:administrators', 0))

-- name: count_other_admins
-- The active administrators beside one user.
SELECT count(*) FROM app_user
WHERE role = 'ADMIN' AND state = 'active' AND id <> :id::uuid

-- name: find_team
-- The team's settings.
SELECT version, sales_rep_sees FROM team_setting

-- name: lock_team
-- The team's settings, locked for a change.
SELECT version, sales_rep_sees FROM team_setting FOR UPDATE

-- name: update_team!
-- Which leads a SALES_REP sees from now on.
UPDATE team_setting SET sales_rep_sees = :sales_rep_sees::text, version = version + 1
