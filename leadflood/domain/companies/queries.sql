-- fragment: visible
-- Whom a company is shown to: all, or (an owner is given) who brought it in or has a lead there.
(:owner::text IS NULL OR company.owner = :owner::text OR EXISTS (
        SELECT FROM lead WHERE lead.company_id = company.id AND lead.owner = :owner::text
            AND lead.merged_into IS NULL AND lead.deleted_at IS NULL))

-- fragment: company_filter
-- The companies that a list asks for; a value counts where it is the winning one.
FROM company
WHERE (:domain::text IS NULL OR company.domain = :domain::text)
    AND (:words::text IS NULL OR to_tsvector(
        'simple', coalesce(company.name, '') || ' ' || replace(company.domain, '.', ' ')
    ) @@ :words::text::tsquery)
    AND (:country::text IS NULL OR company.id = ANY(ARRAY(
        SELECT subject_id FROM field_value
        WHERE company_id IS NOT NULL AND field = 'company_country' AND value = :country::text
    )) AND :country::text = (
        SELECT value FROM field_value
        WHERE subject_id = company.id AND field = 'company_country'
        ORDER BY is_human DESC, rank DESC, evidence_hash DESC, value COLLATE "C" DESC LIMIT 1))
    AND (:industry::text IS NULL OR company.id = ANY(ARRAY(
        SELECT subject_id FROM field_value
        WHERE company_id IS NOT NULL AND field = 'company_industry' AND value = :industry::text
    )) AND :industry::text = (
        SELECT value FROM field_value
        WHERE subject_id = company.id AND field = 'company_industry'
        ORDER BY is_human DESC, rank DESC, evidence_hash DESC, value COLLATE "C" DESC LIMIT 1))

-- name: list_companies
-- Companies by domain, behind one.
SELECT company.id, company.version, company.domain, company.name, company.created_at,
    coalesce(company.updated_at, company.created_at) AS updated_at
{company_filter}
    AND {visible}
    AND (:after::text IS NULL OR company.domain > :after::text)
ORDER BY company.domain LIMIT :limit::int OFFSET :offset::int;

-- name: count_companies
-- How many companies fit, up to a bound.
SELECT count(*) FROM (
    SELECT
    {company_filter}
    AND {visible}
    LIMIT :bound::int
) AS counted;

-- name: estimate_companies
-- About how many companies there are, as the last ANALYZE saw it.
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'company'::regclass;

-- name: find_company
-- One company.
SELECT id, version, domain, name, created_at, coalesce(updated_at, created_at) AS updated_at
FROM company WHERE id = :id::uuid AND {visible};

-- name: lock_company
-- One company, before it is changed: no lead comes to it meanwhile.
SELECT id, version, domain, name, created_at, coalesce(updated_at, created_at) AS updated_at,
    owner
FROM company WHERE id = :id::uuid AND {visible} FOR UPDATE;

-- name: add_company
-- A company that somebody brings in; one of that domain that is there stays as it is.
INSERT INTO company (id, domain, name, owner, created_at, updated_at)
VALUES (:id::uuid, :domain::text, :name::text, :owner::text, :now::timestamptz,
    :now::timestamptz)
ON CONFLICT DO NOTHING RETURNING id;

-- name: change_company
-- Write a person's change of a company.
UPDATE company SET name = :name::text, updated_at = :now::timestamptz, version = version + 1
WHERE id = :id::uuid;

-- name: count_company_leads
-- How many leads work there, up to a bound.
SELECT count(*) FROM (
    SELECT FROM lead
    WHERE company_id = :id::uuid AND merged_into IS NULL AND deleted_at IS NULL
        AND (:owner::text IS NULL OR owner = :owner::text)
    LIMIT :bound::int
) AS counted;

-- name: list_company_leads
-- The leads that came first, of those that work there.
SELECT id, full_name, title, status FROM lead
WHERE company_id = :id::uuid AND merged_into IS NULL AND deleted_at IS NULL
    AND (:owner::text IS NULL OR owner = :owner::text)
ORDER BY id LIMIT :limit::int;

-- name: has_company_leads
-- Whether any lead points to it, also one that is merged or deleted.
SELECT EXISTS (SELECT FROM lead WHERE company_id = :id::uuid);

-- name: delete_company
-- A company nobody points to.
DELETE FROM company WHERE id = :id::uuid;
