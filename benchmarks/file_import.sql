-- name: hash_leads
-- All leads, without what every change of theirs counts.
SELECT md5(coalesce(string_agg(
    md5((to_jsonb(lead) - 'version' - 'updated_at')::text), '' ORDER BY id), ''))
FROM lead;

-- name: hash_keys
-- All keys of leads.
SELECT md5(coalesce(string_agg(md5(identity::text), '' ORDER BY kind, value), '')) FROM identity;

-- name: hash_values
-- All values of leads and companies.
SELECT md5(coalesce(string_agg(md5(field_value::text), '' ORDER BY id), '')) FROM field_value;

-- name: hash_companies
-- All companies.
SELECT md5(coalesce(string_agg(md5(company::text), '' ORDER BY id), '')) FROM company;
