"""${message}.

Why:
Locks:
Undo:
"""

from leadflood.engine.db.migrations import run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Apply."""
    run("""""")


def downgrade() -> None:
    """Undo."""
    run("""""")
