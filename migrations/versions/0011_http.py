"""What the HTTP edge remembers: the answers that an Idempotency-Key got.

Why: the same POST sent twice must be done once, also at the same moment and after a crash.
Locks: a new table only. Undo: drops it; keys sent before are then new again.
"""

from leadflood.engine.db.migrations import run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    run(
        """
        CREATE TABLE idempotency (
            key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
            body_hash bytea NOT NULL,
            answer bytea NOT NULL,
            created_at timestamptz NOT NULL
        )
        """
    )
    run("CREATE INDEX idempotency_age ON idempotency (created_at)")


def downgrade() -> None:
    """Drop it."""
    run("DROP TABLE idempotency")
