"""Create the suppression list, opt-ins and unsubscribe tokens.

Why: whom nothing may be sent to is kept as keyed hashes, and what somebody agreed to with its
evidence: who recorded it, when, from which source, in which words.
Locks: a short SHARE ROW EXCLUSIVE on intent. Undo: drops the tables; export the list first.
"""

from leadflood.engine.db.migrations import run

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = (
    r"""
    CREATE TABLE suppression (
        id uuid PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('address', 'domain', 'channel', 'lead')),
        key bytea NOT NULL CHECK (octet_length(key) = 32),
        hint text NOT NULL,
        reason text NOT NULL CHECK (reason ~ '\S'),
        source text NOT NULL,
        import_ids uuid[] NOT NULL,
        is_stated boolean NOT NULL,
        added_by text NOT NULL,
        created_at timestamptz NOT NULL,
        lifted_at timestamptz,
        lifted_by text,
        voided_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX suppression_live ON suppression (key) WHERE lifted_at IS NULL",
    """
    CREATE INDEX suppression_of_import ON suppression USING gin (import_ids)
    WHERE lifted_at IS NULL
    """,
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
        intent_id uuid NOT NULL REFERENCES intent (id) ON DELETE CASCADE,
        lead_id uuid NOT NULL,
        address_key bytea NOT NULL,
        hint text NOT NULL,
        created_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX unsubscribe_token_of_intent ON unsubscribe_token (intent_id)",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("unsubscribe_token", "opt_in", "suppression"):
        run(f"DROP TABLE {table}")
