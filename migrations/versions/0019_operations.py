"""What operators change while the product runs.

Why: limits and caps set by hand must hold for all nodes and survive restarts; the failed calls of
a provider, and the record of privileged acts by action or by the operator, are looked up among
millions; a ticket opens one event stream, once.
Locks: new tables; the indexes are built under a lock that keeps writers of provider_call and
audit_event out, for about a second per million rows.
Undo: drops them; what was set by hand is then as the settings say.
"""

from leadflood.engine.db.migrations import run

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

CREATED = (
    """
    CREATE TABLE tuning (
        name text PRIMARY KEY,
        version bigint NOT NULL CHECK (version >= 0),
        state text NOT NULL,
        by_whom text NOT NULL,
        reason text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE tuning IS 'limits and caps set by hand: a provider, or all for the caps'",
    """
    CREATE INDEX provider_call_failed ON provider_call (provider, id)
    WHERE outcome IS NOT NULL AND outcome NOT IN ('found', 'miss')
    """,
    "CREATE INDEX audit_event_action ON audit_event (action, id)",
    "CREATE INDEX audit_event_subject_id ON audit_event (subject_id, id)",
    "CREATE INDEX audit_event_operator ON audit_event (id) WHERE actor_id IS NULL",
    """
    CREATE TABLE stream_ticket (
        hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        principal text NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE stream_ticket IS 'opens one event stream once: the ticket is kept as a hash'",
)
DROPPED = (
    "DROP TABLE stream_ticket",
    "DROP INDEX audit_event_operator",
    "DROP INDEX audit_event_subject_id",
    "DROP INDEX audit_event_action",
    "DROP INDEX provider_call_failed",
    "DROP TABLE tuning",
)


def upgrade() -> None:
    """Create tables and indexes."""
    for statement in CREATED:
        run(statement)


def downgrade() -> None:
    """Drop them."""
    for statement in DROPPED:
        run(statement)
