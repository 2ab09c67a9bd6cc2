-- name: find_templates
-- The newest text of each channel under a name.
SELECT DISTINCT ON (channel)
    name, version, channel, language, subject, body, whatsapp_template_id, placeholders, parameters
FROM template
WHERE name = :name::text AND language = :language::text AND archived_at IS NULL
ORDER BY channel, version DESC;

-- name: add_template
-- A text is never changed: a new version takes its place.
INSERT INTO template (
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by
)
SELECT
    :id::uuid, :name::text,
    1 + coalesce((
        SELECT max(version) FROM template
        WHERE name = :name::text AND channel = :channel::text AND language = :language::text
    ), 0),
    :channel::text, :language::text, :subject::text, :body::text, :whatsapp_template_id::text,
    :placeholders::text[], :parameters::text[], :now::timestamptz, :by::text
ON CONFLICT (name, channel, language, version) DO NOTHING
RETURNING
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by;

-- name: list_templates
-- The newest version of each text.
SELECT DISTINCT ON (name, channel, language)
    id, name, version, channel, language, subject, body, whatsapp_template_id, placeholders,
    parameters, created_at, created_by
FROM template WHERE archived_at IS NULL
ORDER BY name, channel, language, version DESC
LIMIT 1000;

-- name: list_template_versions
-- Every version of the text that one of its versions belongs to, newest first.
SELECT
    template.id, template.name, template.version, template.channel, template.language,
    template.subject, template.body, template.whatsapp_template_id, template.placeholders,
    template.parameters, template.created_at, template.created_by
FROM template AS named
JOIN template USING (name, channel, language)
WHERE named.id = :id::uuid
ORDER BY template.version DESC;
