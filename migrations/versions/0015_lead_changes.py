"""Tags, deletion, labels.

Why: to be written by the part that needs it. Note: `lead.tags text[]`, `lead.deleted_at` and the index of
tags are made in 0014, because lists filter by them (`WHERE deleted_at IS NULL`): do not add them here.
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
