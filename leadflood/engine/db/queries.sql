-- name: find_database
-- the embedded server makes leadflood's own database once
SELECT 1 FROM pg_database WHERE datname = 'leadflood';

-- name: create_database!
-- named apart from postgres, so that a dump of it is whole
CREATE DATABASE leadflood;

-- name: lock_migrations
-- one process migrates at a time; the lock ends with the session
SELECT pg_advisory_lock(:key::bigint);

-- name: set_session
-- what a session waits for, changed after it began
SELECT set_config(:name::text, :value::text, false);
