"""What lists of leads are filtered and sorted by.

Why: to be written by the part that needs it.
Locks: none yet.
Undo: nothing to undo yet.
"""

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
