-- name: list_survivors
-- The survivor of every lead.
WITH RECURSIVE down AS (
    SELECT id AS survivor, id FROM lead WHERE merged_into IS NULL
    UNION ALL
    SELECT down.survivor, lead.id FROM down JOIN lead ON lead.merged_into = down.id
)
SELECT id, survivor FROM down;

-- name: list_pairs
-- Leads that a person is asked about.
SELECT pair.lead_id, pair.other_id
FROM possible_duplicate AS pair
JOIN lead ON lead.id = pair.lead_id AND lead.merged_into IS NULL
JOIN lead AS other ON other.id = pair.other_id AND other.merged_into IS NULL
WHERE pair.state = 'open';

-- name: hash_all
-- All that a merge might leave a trace in, without what every change counts and what an undo says.
SELECT 'lead' AS name, md5(coalesce(string_agg(md5(
    (to_jsonb(lead) - 'version' - 'updated_at' - 'kept_apart')::text), '' ORDER BY id), '')) AS md5
FROM lead
UNION ALL
SELECT 'lead_text', md5(coalesce(string_agg(md5(lead_text::text), '' ORDER BY lead_id), ''))
FROM lead_text
UNION ALL
SELECT 'identity', md5(coalesce(string_agg(md5(identity::text), '' ORDER BY kind, value), ''))
FROM identity
UNION ALL
SELECT 'shared_identity',
    md5(coalesce(string_agg(md5(shared_identity::text), '' ORDER BY kind, value, lead_id), ''))
FROM shared_identity
UNION ALL
SELECT 'field_value', md5(coalesce(string_agg(md5(field_value::text), '' ORDER BY id), ''))
FROM field_value
UNION ALL
SELECT 'company', md5(coalesce(string_agg(md5(company::text), '' ORDER BY id), '')) FROM company
UNION ALL
SELECT 'possible_duplicate',
    md5(coalesce(string_agg(md5(possible_duplicate::text), '' ORDER BY id), ''))
FROM possible_duplicate;
