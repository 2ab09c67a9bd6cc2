-- name: lock_node
-- An evicted node can neither buy nor send; evicting waits until this transaction ends.
SELECT id FROM node WHERE id = :node_id::bigint FOR KEY SHARE;

-- name: find_runs
-- Find the allowed providers and the caps of each run.
SELECT id, providers, cap_micros, lead_cap_micros, cancelled_at IS NOT NULL AS is_cancelled,
       opened_by
FROM run
WHERE id = ANY (:ids::uuid[]);

-- name: find_lines
-- A repeated transaction asks what its first try has done.
SELECT id FROM provider_call WHERE id = ANY (:ids::uuid[]);

-- name: list_reserved
-- Money of a node's calls that have not ended: on a partial index.
SELECT id, provider, operation, run_id, job_id, reserved_micros, subjects, shares, question_hash,
    created_at
FROM provider_call
WHERE node_id = :node_id::bigint AND state = 'reserved';

-- name: add_budgets
-- Every scope needs a row before it can be locked; in the order of locking.
INSERT INTO budget (scope, cap_micros)
SELECT * FROM unnest(:scopes::text[], :caps::bigint[]) AS given (scope, cap_micros)
ORDER BY scope DESC
ON CONFLICT (scope) DO NOTHING;

-- name: prune_budgets
-- Delete what runs, and leads in them, spent of their caps, oldest run first; scopes sort by age.
DELETE FROM budget WHERE scope = ANY (ARRAY (
    SELECT scope FROM budget
    WHERE scope >= :prefix::text AND scope < :before::text AND reserved_micros = 0
    ORDER BY scope LIMIT :limit::int FOR UPDATE SKIP LOCKED));

-- name: lock_budgets
-- In one order, so that two processes never wait for each other; runs first, what all share last.
SELECT scope, cap_micros, spent_micros, reserved_micros
FROM budget
WHERE scope = ANY (:scopes::text[])
ORDER BY scope DESC
FOR NO KEY UPDATE;

-- name: reserve_money
-- The rows are locked by lock_budgets.
UPDATE budget
SET reserved_micros = budget.reserved_micros + given.micros, cap_micros = given.cap_micros
FROM unnest(:scopes::text[], :caps::bigint[], :micros::bigint[])
    AS given (scope, cap_micros, micros)
WHERE budget.scope = given.scope;

-- name: settle_money
-- Release the reserved money and book the charged; locked first, in the order of lock_budgets.
WITH given AS (
    SELECT * FROM unnest(:scopes::text[], :given_back::bigint[], :spent::bigint[])
        AS given (scope, given_back, spent)
), locked AS MATERIALIZED (
    SELECT budget.scope FROM budget
    WHERE budget.scope = ANY (:scopes::text[])
    ORDER BY budget.scope DESC
    FOR NO KEY UPDATE
)
UPDATE budget
SET reserved_micros = budget.reserved_micros - given.given_back,
    spent_micros = budget.spent_micros + given.spent
FROM given JOIN locked ON locked.scope = given.scope
WHERE budget.scope = given.scope;

-- name: add_lines
-- The line exists, durable, before anything is sent.
INSERT INTO provider_call (
    id, provider, operation, run_id, job_id, node_id, state, reserved_micros,
    subjects, shares, question_hash, created_at
)
SELECT
    given.id, given.provider, given.operation, given.run_id, given.job_id, :node_id::bigint,
    'reserved', given.micros, string_to_array(given.subjects, chr(31)),
    string_to_array(given.shares, ',')::bigint[], given.question_hash, given.created_at
FROM unnest(
    :ids::uuid[], :providers::text[], :operations::text[], :run_ids::uuid[], :job_ids::uuid[],
    :micros::bigint[], :subjects::text[], :shares::text[], :hashes::bytea[],
    :created_ats::timestamptz[]
) AS given (
    id, provider, operation, run_id, job_id, micros, subjects, shares, question_hash, created_at
);

-- name: settle_lines
-- Only an open line is settled, once: a repeated transaction moves no money.
UPDATE provider_call
SET state = given.state,
    settled_micros = given.settled_micros,
    outcome = given.outcome,
    settled_at = given.settled_at,
    shares = coalesce(string_to_array(given.shares, ',')::bigint[], provider_call.shares)
FROM unnest(
    :ids::uuid[], :states::text[], :settled::bigint[], :outcomes::text[],
    :settled_ats::timestamptz[], :shares::text[]
) AS given (id, state, settled_micros, outcome, settled_at, shares)
WHERE provider_call.id = given.id AND provider_call.state IN ('reserved', 'unresolved')
RETURNING provider_call.id;

-- name: store_answers
-- A newer answer replaces an older one.
INSERT INTO answer (
    provider, operation, question_hash, body, found, cost_micros, stored_at, expires_at
)
SELECT * FROM unnest(
    :providers::text[], :operations::text[], :hashes::bytea[], :bodies::bytea[],
    :founds::boolean[], :costs::bigint[], :stored_ats::timestamptz[], :expires_ats::timestamptz[]
) AS given (
    provider, operation, question_hash, body, found, cost_micros, stored_at, expires_at
)
ORDER BY question_hash, operation, provider
ON CONFLICT (question_hash, operation, provider) DO UPDATE
SET body = excluded.body, found = excluded.found, cost_micros = excluded.cost_micros,
    stored_at = excluded.stored_at, expires_at = excluded.expires_at;

-- name: store_answer_names
-- Further questions that answers just stored answer too; a newer answer takes a name over.
INSERT INTO answer_name (provider, operation, question_hash, answer_hash)
SELECT * FROM unnest(
    :providers::text[], :operations::text[], :hashes::bytea[], :answer_hashes::bytea[]
) AS given (provider, operation, question_hash, answer_hash)
ORDER BY question_hash, operation, provider
ON CONFLICT (question_hash, operation, provider) DO UPDATE SET answer_hash = excluded.answer_hash;

-- name: find_answers
-- Many questions at once, each under several names; a hit goes before a miss, a newer one before
-- an older one. The position tells which question it answers.
WITH given AS (
    SELECT * FROM unnest(
        :positions::int[], :providers::text[], :operations::text[], :hashes::bytea[],
        :sinces::timestamptz[]
    ) AS given (position, provider, operation, question_hash, since)
)
SELECT DISTINCT ON (kept.position) kept.position, kept.body, kept.found, kept.stored_at
FROM (
    SELECT given.position, given.since, answer.body, answer.found, answer.stored_at,
        answer.expires_at
    FROM given
    JOIN answer ON answer.question_hash = given.question_hash
        AND answer.operation = given.operation AND answer.provider = given.provider
    UNION ALL
    SELECT given.position, given.since, answer.body, answer.found, answer.stored_at,
        answer.expires_at
    FROM given
    JOIN answer_name AS name ON name.question_hash = given.question_hash
        AND name.operation = given.operation AND name.provider = given.provider
    JOIN answer ON answer.question_hash = name.answer_hash
        AND answer.operation = given.operation AND answer.provider = given.provider
    WHERE answer.found
) AS kept
WHERE kept.expires_at > :now::timestamptz
    AND (kept.since IS NULL OR kept.stored_at >= kept.since)
ORDER BY kept.position, kept.found DESC, kept.stored_at DESC;

-- name: forget_answers
-- A few thousand at a time, so that no transaction is long.
DELETE FROM answer
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM answer WHERE expires_at <= :now::timestamptz
    ORDER BY expires_at LIMIT :at_most::bigint
));

-- name: resolve_orphans
-- A line whose node is gone may have been charged: it keeps counting at its reserved price.
UPDATE provider_call
SET state = 'unresolved', outcome = 'engine.node_evicted', settled_at = :now::timestamptz
WHERE state = 'reserved'
    AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = provider_call.node_id)
RETURNING id;

-- name: add_rate_limit
-- A row must exist before it can be locked.
INSERT INTO rate_limit (provider, api_key, limit_name, state, changed_at)
VALUES (:provider::text, :api_key::text, :limit_name::text, '', :now::timestamptz)
ON CONFLICT DO NOTHING;

-- name: lock_rate_limit
-- One process at a time hands out allowance; the time is that once it is locked.
WITH locked AS (
    SELECT state FROM rate_limit
    WHERE provider = :provider::text AND api_key = :api_key::text
        AND limit_name = :limit_name::text
    FOR NO KEY UPDATE
)
SELECT state, extract(epoch FROM clock_timestamp())::float8 AS database_now FROM locked;

-- name: write_rate_limit
-- Committed before a single call of it is made, so a dead node's allowance is lost, not reused.
UPDATE rate_limit
SET state = :state::text, changed_at = :now::timestamptz
WHERE provider = :provider::text AND api_key = :api_key::text AND limit_name = :limit_name::text;

-- name: reset_rate_limits
-- What a wrong clock or a wrong header has written holds a provider up no longer.
DELETE FROM rate_limit WHERE provider = :provider::text;

-- name: sum_lines
-- Money by provider and state, of one run or of all.
SELECT provider, state, count(*) AS lines, sum(reserved_micros)::bigint AS reserved_micros,
    coalesce(sum(settled_micros), 0)::bigint AS settled_micros
FROM provider_call
WHERE :run_id::uuid IS NULL OR run_id = :run_id::uuid
GROUP BY provider, state
ORDER BY provider, state;

-- name: list_lines
-- The ledger line by line, oldest first, to be compared with an invoice.
SELECT id, provider, operation, run_id, job_id, state, reserved_micros, settled_micros,
    subjects, shares, outcome, created_at, settled_at
FROM provider_call
WHERE id > :after_id::uuid AND (:run_id::uuid IS NULL OR run_id = :run_id::uuid)
ORDER BY id
LIMIT :at_most::bigint;

-- name: find_budgets
-- Find the caps and what is used of them.
SELECT scope, cap_micros, spent_micros, reserved_micros
FROM budget
WHERE scope = ANY (:scopes::text[])
ORDER BY scope;


-- name: list_tunings
-- List the overrides set by hand: a handful of rows, read twice a second by every node.
SELECT name, version, state, by_whom, reason, changed_at FROM tuning ORDER BY name;

-- name: add_tuning!
-- A row must exist before it can be locked.
INSERT INTO tuning (name, version, state, by_whom, reason, changed_at)
VALUES (:name::text, 0, :state::text, '', '', :now::timestamptz)
ON CONFLICT (name) DO NOTHING;

-- name: lock_tuning
-- One operator at a time; the version tells the second one that there was a first.
SELECT name, version, state, by_whom, reason, changed_at FROM tuning
WHERE name = :name::text
FOR UPDATE;

-- name: write_tuning!
-- All nodes follow within a second.
UPDATE tuning
SET version = :version::bigint, state = :state::text, by_whom = :by_whom::text,
    reason = :reason::text, changed_at = :now::timestamptz
WHERE name = :name::text;

-- name: list_rate_limits
-- Every allowance as it is leased now.
SELECT provider, api_key, limit_name, state, changed_at FROM rate_limit
ORDER BY provider, limit_name, changed_at DESC;

-- name: sum_open_lines
-- Money not yet settled, by provider: on two partial indexes.
SELECT provider, state, count(*) AS lines, sum(reserved_micros)::bigint AS micros
FROM provider_call
WHERE state = 'reserved' OR state = 'unresolved'
GROUP BY provider, state
ORDER BY provider, state;

-- name: list_failures
-- The newest calls of each provider that went wrong.
SELECT failed.provider, failed.id, failed.operation, failed.outcome, failed.state,
    failed.settled_at
FROM unnest(:providers::text[]) AS named (provider)
CROSS JOIN LATERAL (
    SELECT provider, id, operation, outcome, state, settled_at
    FROM provider_call
    WHERE provider_call.provider = named.provider
        AND outcome IS NOT NULL AND outcome NOT IN ('found', 'miss', 'net.not_sent')
    ORDER BY id DESC
    LIMIT :limit::int
) AS failed
ORDER BY failed.provider, failed.id DESC;

-- name: count_calls_since
-- How many calls each provider got lately: ids are made in the order of time.
SELECT provider, operation, count(*) AS calls
FROM provider_call
WHERE id > :since::uuid
GROUP BY provider, operation
ORDER BY provider, operation;
