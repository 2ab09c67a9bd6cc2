"""Create intents: one for each message to send, with its state; and the keys of contacts.

Why: a message is sent once. That an intent's message is complete is a foreign key to the computed
`is_complete`, so no code path can queue another. Nobody gets a second first message: whoever sends
one takes the unique keys of its person and its mailbox first, and `intent_touch` refuses two that
left for one mailbox under one number (leadflood/domain/sending/service/contact_history.py).
What waits for a setting or for money has no job, so that its run can end: `intent_waiting` finds
it.
Locks: a short SHARE ROW EXCLUSIVE on message. Undo: drops the intents: nothing is sent any more.
"""

from leadflood.engine.db.migrations import run

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS = (
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
        state text NOT NULL CHECK (
            state IN ('ready', 'sending', 'accepted', 'refused', 'unknown', 'cancelled')),
        published_state text NOT NULL DEFAULT 'ready',
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
        repeats boolean NOT NULL DEFAULT false,
        touch integer CHECK (touch > 0),
        earlier_message_id uuid,
        needed_micros bigint,
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
    """
    CREATE UNIQUE INDEX intent_touch ON intent (address_key, touch)
    WHERE step = 1 AND state IN ('sending', 'accepted', 'unknown')
    """,
    """
    CREATE TABLE contact_key (
        key bytea PRIMARY KEY CHECK (octet_length(key) IN (16, 32)),
        intent_id uuid NOT NULL
    )
    """,
    "CREATE INDEX intent_open ON intent (state, id) WHERE state IN ('sending', 'unknown')",
    """
    CREATE INDEX intent_waiting ON intent (id)
    WHERE state = 'ready' AND code IN ('waits_for_setup', 'waits_for_money')
    """,
    """
    CREATE INDEX intent_unpublished ON intent (id)
    WHERE published_state <> state AND state NOT IN ('ready', 'sending')
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("contact_key", "intent"):
        run(f"DROP TABLE {table}")
