"""Messages, their facts, the intents to send them, and who must not be written to.

Why: a message is sent once and only whole. That an intent's message has a text without blank
merge values is a foreign key to the computed `is_complete`, so no code path can queue another.
Locks: none on existing data. Undo: downgrade drops the tables with all messages, intents and
suppressions; export the suppression list first.
"""

from leadflood.engine.db.migrations import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = (
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
    r"""
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
            state IN ('needs_data', 'waiting', 'approved', 'rejected', 'not_wanted')),
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
        UNIQUE (run_id, lead_id, step),
        UNIQUE (id, is_complete),
        CONSTRAINT message_whole CHECK (state NOT IN ('waiting', 'approved') OR is_complete),
        CHECK (state <> 'needs_data' OR reason <> '')
    )
    """,
    "CREATE INDEX message_lead ON message (lead_id)",
    "CREATE INDEX message_waiting ON message (id) WHERE state = 'waiting'",
    r"""
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
    r"""
    CREATE TABLE intent (
        id uuid PRIMARY KEY,
        message_id uuid NOT NULL,
        message_is_complete boolean NOT NULL DEFAULT true CHECK (message_is_complete),
        lead_id uuid NOT NULL,
        run_id uuid NOT NULL,
        step integer NOT NULL CHECK (step > 0),
        reference text NOT NULL UNIQUE CHECK (reference ~ '\S'),
        channel text NOT NULL CHECK (channel IN ('email', 'whatsapp', 'sms')),
        provider text NOT NULL DEFAULT '',
        to_address text NOT NULL CHECK (to_address ~ '\S'),
        address_key bytea NOT NULL,
        suppression_keys bytea[] NOT NULL CHECK (cardinality(suppression_keys) > 0),
        state text NOT NULL CHECK (
            state IN ('ready', 'sending', 'accepted', 'refused', 'unknown', 'cancelled')),
        told_state text NOT NULL DEFAULT 'ready',
        claim bigint,
        job_id uuid,
        latest_useful_at timestamptz NOT NULL,
        code text NOT NULL DEFAULT '',
        detail text NOT NULL DEFAULT '',
        remote_id text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL,
        sending_at timestamptz,
        ended_at timestamptz,
        resolved_by text,
        UNIQUE (message_id, step),
        FOREIGN KEY (message_id, message_is_complete) REFERENCES message (id, is_complete),
        CONSTRAINT intent_claimed CHECK (
            state NOT IN ('sending', 'unknown')
            OR (claim IS NOT NULL AND job_id IS NOT NULL AND sending_at IS NOT NULL)),
        CONSTRAINT intent_ended CHECK (
            (state IN ('ready', 'sending', 'unknown')) = (ended_at IS NULL))
    )
    """,
    "CREATE INDEX intent_lead ON intent (lead_id)",
    "CREATE INDEX intent_run ON intent (run_id)",
    "CREATE INDEX intent_open ON intent (state, id) WHERE state IN ('sending', 'unknown')",
    """
    CREATE INDEX intent_untold ON intent (id)
    WHERE told_state <> state AND state NOT IN ('ready', 'sending')
    """,
    r"""
    CREATE TABLE suppression (
        id uuid PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('address', 'domain', 'channel', 'lead')),
        key bytea NOT NULL CHECK (octet_length(key) = 32),
        hint text NOT NULL,
        reason text NOT NULL CHECK (reason ~ '\S'),
        source text NOT NULL,
        added_by text NOT NULL,
        created_at timestamptz NOT NULL,
        lifted_at timestamptz,
        lifted_by text
    )
    """,
    "CREATE UNIQUE INDEX suppression_live ON suppression (key) WHERE lifted_at IS NULL",
    r"""
    CREATE TABLE opt_in (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL,
        channel text NOT NULL CHECK (channel IN ('email', 'whatsapp', 'sms')),
        key bytea NOT NULL CHECK (octet_length(key) = 32),
        hint text NOT NULL,
        wording text NOT NULL,
        source text NOT NULL CHECK (source ~ '\S'),
        obtained_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        recorded_by text NOT NULL,
        withdrawn_at timestamptz,
        withdrawn_by text,
        withdrawn_reason text,
        CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX opt_in_of_lead ON opt_in (lead_id, channel) WHERE withdrawn_at IS NULL",
    "CREATE INDEX opt_in_live ON opt_in (channel, key) WHERE withdrawn_at IS NULL",
    "CREATE INDEX opt_in_lead ON opt_in (lead_id)",
    """
    CREATE TABLE unsubscribe_token (
        token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
        intent_id uuid NOT NULL UNIQUE REFERENCES intent (id) ON DELETE CASCADE,
        lead_id uuid NOT NULL,
        address_key bytea NOT NULL,
        hint text NOT NULL,
        created_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in TABLES:
        run(statement)


def downgrade() -> None:
    """Drop the tables and the functions they are checked with."""
    for table in (
        "unsubscribe_token",
        "opt_in",
        "suppression",
        "intent",
        "message_fact",
        "message",
        "template",
    ):
        run(f"DROP TABLE {table}")
    run("DROP FUNCTION messaging_is_complete")
    run("DROP FUNCTION messaging_is_merged")
    run("DROP FUNCTION messaging_all_filled")
    run("DROP FUNCTION messaging_is_filled")
