"""Mark runs that are still being filled: a file is read in parts, and a run must not end between.

Why: a run ends when no live job carries it; while a command is reading rows into it, a quick node
may have finished all that is in so far.
Locks: ACCESS EXCLUSIVE on run for a moment; the default is not written to the rows.
Undo: drops the column; a run that is being filled may then end early.
"""

from leadflood.engine.db.migrations import run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark."""
    run("ALTER TABLE run ADD COLUMN is_loading boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """Drop it again."""
    run("ALTER TABLE run DROP COLUMN is_loading")
