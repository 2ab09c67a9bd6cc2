"""What searches of an ICP need.

Why: to be written by the part that needs it.
Locks: none yet.
Undo: nothing to undo yet.
"""

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
