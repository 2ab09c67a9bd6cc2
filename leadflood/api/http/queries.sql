-- name: lock_key!
-- Equal requests at the same moment follow one another.
SELECT pg_advisory_xact_lock(:key::bigint)

-- name: find_answer
-- Find the answer remembered for this key.
SELECT body_hash, answer FROM idempotency
WHERE key = :key::bytea AND expires_at > :now::timestamptz

-- name: keep_answer!
-- Store an answer with the writes it speaks of; an expired one is replaced.
INSERT INTO idempotency (key, body_hash, answer, expires_at)
VALUES (:key::bytea, :body_hash::bytea, :answer::bytea, :expires_at::timestamptz)
ON CONFLICT (key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
    expires_at = excluded.expires_at

-- name: lock_keys
-- The same for the requests of a batch, in one order for all.
SELECT pg_advisory_xact_lock(key)
FROM (SELECT key FROM unnest(:keys::bigint[]) AS asked (key) ORDER BY key) AS ordered

-- name: find_answers
-- Find the answers remembered for these keys.
SELECT key, body_hash, answer FROM idempotency
WHERE key = ANY (:keys::bytea[]) AND expires_at > :now::timestamptz

-- name: keep_answers
-- Store the answers of a batch with the writes they speak of.
INSERT INTO idempotency (key, body_hash, answer, expires_at)
SELECT key, body_hash, answer, :expires_at::timestamptz
FROM unnest(:keys::bytea[], :body_hashes::bytea[], :answers::bytea[])
    AS kept (key, body_hash, answer)
ON CONFLICT (key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
    expires_at = excluded.expires_at

-- name: prune_answers
-- Forget answers past their time, a few thousand at once.
DELETE FROM idempotency WHERE key = ANY (ARRAY (
    SELECT key FROM idempotency WHERE expires_at < :now::timestamptz LIMIT :limit::int))

-- name: add_ticket!
-- A ticket to open one event stream; only its hash is kept. Outlived ones make room.
WITH outlived AS (DELETE FROM stream_ticket WHERE expires_at < :now::timestamptz)
INSERT INTO stream_ticket (hash, principal, expires_at)
VALUES (:hash::bytea, :principal::text, :expires_at::timestamptz)

-- name: take_ticket
-- A ticket is gone once it was used.
DELETE FROM stream_ticket WHERE hash = :hash::bytea RETURNING principal, expires_at

-- name: record_proxies!
-- Peers that forward for others without being trusted, with their requests.
INSERT INTO untrusted_proxy (peer, requests, seen_at)
SELECT peer, requests, :now::timestamptz
FROM unnest(:peers::text[], :requests::bigint[]) AS seen (peer, requests)
ON CONFLICT (peer) DO UPDATE SET
    requests = untrusted_proxy.requests + excluded.requests, seen_at = excluded.seen_at

-- name: trim_proxies!
-- The latest few are enough.
DELETE FROM untrusted_proxy WHERE peer NOT IN (
    SELECT peer FROM untrusted_proxy ORDER BY seen_at DESC, requests DESC LIMIT :limit::int)

-- name: list_proxies
-- Peers that forwarded lately, the busiest first.
SELECT peer, requests, seen_at FROM untrusted_proxy
WHERE seen_at > :since::timestamptz ORDER BY requests DESC, peer
