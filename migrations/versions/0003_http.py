"""Create what the HTTP edge remembers: answers by Idempotency-Key, tickets for event streams.

Why: the same POST sent twice is done once, also at the same moment and after a crash; a ticket
opens one event stream, once.
Locks: new tables only. Undo: drops them; keys sent before are then new again.
"""

from leadflood.engine.db.migrations import run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE idempotency (
        key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
        body_hash bytea NOT NULL,
        answer bytea NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX idempotency_age ON idempotency (expires_at)",
    """
    CREATE TABLE stream_ticket (
        hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        principal text NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    """
    COMMENT ON TABLE stream_ticket IS 'opens one event stream once: the ticket is kept as a
    hash'
    """,
    """
    CREATE TABLE untrusted_proxy (
        peer text PRIMARY KEY,
        requests bigint NOT NULL,
        seen_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("untrusted_proxy", "stream_ticket", "idempotency"):
        run(f"DROP TABLE {table}")
