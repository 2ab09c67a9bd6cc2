-- name: lock_key!
-- Equal requests at the same moment follow one another.
SELECT pg_advisory_xact_lock(:key::bigint)

-- name: find_answer
-- Find the answer remembered for this key.
SELECT body_hash, answer FROM idempotency
WHERE key = :key::bytea AND created_at > :since::timestamptz

-- name: keep_answer!
-- Store an answer with the writes it speaks of; an expired one is replaced.
INSERT INTO idempotency (key, body_hash, answer, created_at)
VALUES (:key::bytea, :body_hash::bytea, :answer::bytea, :now::timestamptz)
ON CONFLICT (key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
    created_at = excluded.created_at

-- name: lock_keys
-- The same for the requests of a batch, in one order for all.
SELECT pg_advisory_xact_lock(key)
FROM (SELECT key FROM unnest(:keys::bigint[]) AS asked (key) ORDER BY key) AS ordered

-- name: find_answers
-- Find the answers remembered for these keys.
SELECT key, body_hash, answer FROM idempotency
WHERE key = ANY (:keys::bytea[]) AND created_at > :since::timestamptz

-- name: keep_answers
-- Store the answers of a batch with the writes they speak of.
INSERT INTO idempotency (key, body_hash, answer, created_at)
SELECT key, body_hash, answer, :now::timestamptz
FROM unnest(:keys::bytea[], :body_hashes::bytea[], :answers::bytea[])
    AS kept (key, body_hash, answer)
ON CONFLICT (key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
    created_at = excluded.created_at

-- name: prune_answers
-- Forget answers past their time, a few thousand at once.
DELETE FROM idempotency WHERE key = ANY (ARRAY (
    SELECT key FROM idempotency WHERE created_at < :before::timestamptz LIMIT :limit::int))

-- name: add_ticket!
-- A ticket to open one event stream; only its hash is kept. Outlived ones make room.
WITH outlived AS (DELETE FROM stream_ticket WHERE expires_at < :now::timestamptz)
INSERT INTO stream_ticket (hash, principal, expires_at)
VALUES (:hash::bytea, :principal::text, :expires_at::timestamptz)

-- name: take_ticket
-- A ticket is gone once it was used.
DELETE FROM stream_ticket WHERE hash = :hash::bytea RETURNING principal, expires_at
