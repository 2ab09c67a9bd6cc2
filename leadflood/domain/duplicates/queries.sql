-- name: lock_signatures
-- What leads were compared by until now.
SELECT lead_id, content FROM duplicate_signature WHERE lead_id = ANY(:lead_ids::uuid[])
ORDER BY lead_id FOR UPDATE;

-- name: delete_blocks
-- Blocks that leads are in no more.
DELETE FROM duplicate_block
USING unnest(:blocks::int8[], :lead_ids::uuid[]) AS gone (block, lead_id)
WHERE duplicate_block.block = gone.block AND duplicate_block.lead_id = gone.lead_id;

-- name: add_signatures
-- How leads are compared.
INSERT INTO duplicate_signature (lead_id, content)
SELECT lead_id, content
FROM unnest(:lead_ids::uuid[], :contents::bytea[]) AS input (lead_id, content)
ORDER BY lead_id
ON CONFLICT (lead_id) DO UPDATE SET content = excluded.content
WHERE duplicate_signature.content <> excluded.content;

-- name: add_blocks
-- With which leads they are compared.
INSERT INTO duplicate_block (block, lead_id)
SELECT block, lead_id
FROM unnest(:blocks::int8[], :lead_ids::uuid[]) AS input (block, lead_id)
ORDER BY block, lead_id
ON CONFLICT (block, lead_id) DO NOTHING;

-- name: find_candidates
-- Leads that share a block; of a block that many share, the youngest.
SELECT DISTINCT input.lead_id, other.lead_id AS other_id
FROM unnest(:blocks::int8[], :lead_ids::uuid[]) AS input (block, lead_id)
CROSS JOIN LATERAL (
    SELECT lead_id FROM duplicate_block
    WHERE duplicate_block.block = input.block AND duplicate_block.lead_id <> input.lead_id
    ORDER BY lead_id DESC LIMIT :most::int
) AS other;

-- name: find_signatures
-- The signatures of leads that stand for themselves, and whom they are told apart from.
SELECT signature.lead_id, signature.content, lead.kept_apart
FROM duplicate_signature AS signature JOIN lead ON lead.id = signature.lead_id
WHERE signature.lead_id = ANY(:lead_ids::uuid[])
    AND lead.merged_into IS NULL AND lead.deleted_at IS NULL;

-- name: find_open_pairs
-- Pairs of these leads that nobody has decided, up to a bound: what was alike may be no more.
SELECT pair.lead_id, pair.other_id
FROM unnest(:lead_ids::uuid[]) AS input (id)
CROSS JOIN LATERAL (
    (SELECT lead_id, other_id FROM possible_duplicate
    WHERE lead_id = input.id AND state = 'open' ORDER BY other_id LIMIT :most::int)
    UNION ALL
    (SELECT lead_id, other_id FROM possible_duplicate
    WHERE other_id = input.id AND state = 'open' ORDER BY lead_id LIMIT :most::int)
) AS pair;

-- name: drop_pairs
-- Leads that are alike no more; a pair that a person decides at this moment is theirs.
DELETE FROM possible_duplicate WHERE id = ANY(ARRAY(
    SELECT pair.id
    FROM unnest(:lead_ids::uuid[], :other_ids::uuid[]) AS input (lead_id, other_id)
    JOIN possible_duplicate AS pair
        ON pair.lead_id = input.lead_id AND pair.other_id = input.other_id
    WHERE pair.state = 'open' FOR UPDATE OF pair SKIP LOCKED));

-- name: find_different
-- Which of these pairs of keys somebody has told apart.
SELECT mark FROM different_pair WHERE mark = ANY(:marks::bytea[]);

-- name: add_different
-- Remember by their keys that two are different, whatever becomes of their leads.
INSERT INTO different_pair (mark, decided_at)
SELECT mark, :now::timestamptz FROM unnest(:marks::bytea[]) AS input (mark) ORDER BY mark
ON CONFLICT (mark) DO NOTHING;

-- name: add_pairs
-- Leads that may be one; what a person has decided stays.
INSERT INTO possible_duplicate (id, lead_id, other_id, score, reasons, found_at)
SELECT id, lead_id, other_id, score, string_to_array(reasons, chr(30)), :now::timestamptz
FROM unnest(
    :ids::uuid[], :lead_ids::uuid[], :other_ids::uuid[], :scores::float8[], :reasons::text[]
) AS input (id, lead_id, other_id, score, reasons)
ORDER BY lead_id, other_id
ON CONFLICT (lead_id, other_id) DO UPDATE SET score = excluded.score, reasons = excluded.reasons
WHERE possible_duplicate.state = 'open'
    AND (possible_duplicate.score, possible_duplicate.reasons)
        IS DISTINCT FROM (excluded.score, excluded.reasons)
RETURNING id, other_id;

-- name: list_pairs
-- Pairs of leads that stand for themselves and that the reader sees both, the likeliest first.
SELECT pair.id, pair.state, pair.score, pair.reasons, pair.lead_id, pair.other_id, pair.found_at,
    pair.decided_at, pair.decided_by
FROM possible_duplicate AS pair
JOIN lead ON lead.id = pair.lead_id
JOIN lead AS other ON other.id = pair.other_id
WHERE pair.state = :state::text
    AND (:lead_id::uuid IS NULL OR pair.lead_id = :lead_id::uuid OR pair.other_id = :lead_id::uuid)
    AND (:score::float8 IS NULL OR (pair.score, pair.id) < (:score::float8, :id::uuid))
    AND lead.merged_into IS NULL AND lead.deleted_at IS NULL
    AND other.merged_into IS NULL AND other.deleted_at IS NULL
    AND (pair.state <> 'open' OR NOT (
        other.id = ANY(lead.kept_apart) OR lead.id = ANY(other.kept_apart)))
    AND (:owner::text IS NULL OR (lead.owner = :owner::text AND other.owner = :owner::text))
ORDER BY pair.score DESC, pair.id DESC
LIMIT :limit::int;

-- name: find_pair
-- A pair, whatever has become of its leads.
SELECT id, state, score, reasons, lead_id, other_id, found_at, decided_at, decided_by
FROM possible_duplicate WHERE id = :id::uuid;

-- name: decide
-- A person has said that two leads are different.
UPDATE possible_duplicate SET
    state = 'different', decided_at = :now::timestamptz, decided_by = :by::text
WHERE id = :id::uuid AND state = 'open';

-- name: prune_blocks
-- Blocks of leads that are gone.
DELETE FROM duplicate_block WHERE ctid = ANY(ARRAY(
    SELECT block.ctid FROM duplicate_block AS block
    WHERE NOT EXISTS (
        SELECT FROM duplicate_signature AS signature WHERE signature.lead_id = block.lead_id)
    LIMIT :limit::int));
