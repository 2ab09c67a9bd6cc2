"""Tags, deletion, labels.

Why: to be written by the part that needs it.
Locks: none yet.
Undo: nothing to undo yet.
"""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
