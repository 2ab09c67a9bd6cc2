"""Create templates, messages and the facts that carry them.

Why: a message is sent only whole: that its text has no blank merge values is computed by the
database (`is_complete`), so no code path can approve another.
Locks: new tables only. Undo: drops the tables, with all messages.
"""

from leadflood.engine.db.migrations import run

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = (
    r"""
    CREATE FUNCTION messaging_is_filled(part text) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN coalesce(
        part ~ '[^[:space:]\u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u3000\ufeff]',
        false)
    """,
    """
    CREATE FUNCTION messaging_all_filled(parts text[]) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN (SELECT coalesce(bool_and(messaging_is_filled(part)), true) FROM unnest(parts) AS part)
    """,
    """
    CREATE FUNCTION messaging_is_merged(written text) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN strpos(written, '{{') = 0 AND strpos(written, '}}') = 0 AND strpos(written, '{%') = 0
    """,
    """
    CREATE FUNCTION messaging_is_complete(
        via text, address text, title text, written text, template text, merged text[], holes text[]
    ) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN CASE
        WHEN via IS NULL OR NOT messaging_is_filled(address) THEN false
        WHEN via = 'whatsapp' THEN messaging_is_filled(template)
            AND cardinality(merged) = cardinality(holes) AND messaging_all_filled(merged)
            AND messaging_is_merged(array_to_string(merged, ' '))
        ELSE messaging_all_filled(array_prepend(title, array_prepend(written, merged)))
            AND messaging_is_merged(title) AND messaging_is_merged(written)
    END
    """,
    """
    CREATE TABLE template (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        channel text NOT NULL CHECK (channel IN ('email', 'whatsapp', 'sms')),
        language text NOT NULL,
        subject text NOT NULL DEFAULT '',
        body text NOT NULL DEFAULT '',
        whatsapp_template_id text NOT NULL DEFAULT '',
        placeholders text[] NOT NULL DEFAULT '{}',
        parameters text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        archived_at timestamptz,
        UNIQUE (name, channel, language, version),
        CHECK (cardinality(placeholders) = cardinality(parameters))
    )
    """,
    """
    CREATE TABLE message (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL,
        icp_id uuid NOT NULL,
        run_id uuid NOT NULL,
        step integer NOT NULL CHECK (step > 0),
        state text NOT NULL CHECK (
            state IN (
                'needs_data', 'waiting', 'approved', 'rejected', 'not_wanted', 'already_written',
                'suppressed')),
        reason text NOT NULL DEFAULT '',
        channel text CHECK (channel IN ('email', 'whatsapp', 'sms')),
        to_address text NOT NULL DEFAULT '',
        to_name text NOT NULL DEFAULT '',
        subject text NOT NULL DEFAULT '',
        body text NOT NULL DEFAULT '',
        template_id text NOT NULL DEFAULT '',
        parameters text[] NOT NULL DEFAULT '{}',
        placeholders text[] NOT NULL DEFAULT '{}',
        writer text NOT NULL DEFAULT '',
        problem_codes text[] NOT NULL DEFAULT '{}',
        problem_details text[] NOT NULL DEFAULT '{}',
        drafted_at timestamptz NOT NULL,
        decided_at timestamptz,
        decided_by text,
        edited_at timestamptz,
        is_complete boolean NOT NULL GENERATED ALWAYS AS (messaging_is_complete(
            channel, to_address, subject, body, template_id, parameters, placeholders)) STORED,
        version integer NOT NULL DEFAULT 1,
        repeats boolean NOT NULL DEFAULT false,
        earlier_message_id uuid,
        UNIQUE (run_id, lead_id, step),
        UNIQUE (id, is_complete),
        CONSTRAINT message_whole CHECK (state NOT IN ('waiting', 'approved') OR is_complete),
        CHECK (state <> 'needs_data' OR reason <> ''),
        CHECK ((state = 'already_written') = (earlier_message_id IS NOT NULL))
    )
    """,
    "CREATE INDEX message_lead ON message (lead_id)",
    "CREATE INDEX message_waiting ON message (id) WHERE state = 'waiting'",
    """
    CREATE TABLE message_fact (
        message_id uuid NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        number integer NOT NULL CHECK (number > 0),
        field text NOT NULL,
        value text NOT NULL CHECK (messaging_is_filled(value)),
        field_value_id uuid NOT NULL,
        claim_starts integer[] NOT NULL DEFAULT '{}',
        claim_ends integer[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (message_id, number),
        CHECK (cardinality(claim_starts) = cardinality(claim_ends))
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("message_fact", "message", "template"):
        run(f"DROP TABLE {table}")
    run("DROP FUNCTION messaging_is_complete")
    run("DROP FUNCTION messaging_is_merged")
    run("DROP FUNCTION messaging_all_filled")
    run("DROP FUNCTION messaging_is_filled")
