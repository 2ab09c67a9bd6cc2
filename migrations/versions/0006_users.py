"""Create the settings of the team.

Why: whether sales representatives see all leads or their own holds for every node.
Locks: new tables only. Undo: drops the table; everybody sees all leads again.
"""

from leadflood.engine.db.migrations import run

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE team_setting (
        id boolean PRIMARY KEY DEFAULT true CHECK (id),
        version integer NOT NULL,
        sales_rep_sees text NOT NULL CHECK (sales_rep_sees IN ('own', 'all'))
    )
    """,
    "INSERT INTO team_setting (version, sales_rep_sees) VALUES (1, 'all')",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE team_setting")
