"""Create activities: the notes, calls, meetings and tasks of a lead.

Why: a lead's timeline shows what people did beside what the product did.
Locks: a short SHARE ROW EXCLUSIVE on lead for the foreign key. Undo: drops the table.
"""

from leadflood.engine.db.migrations import run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE activity (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL REFERENCES lead (id),
        kind text NOT NULL,
        detail text NOT NULL,
        actor text NOT NULL,
        happened_at timestamptz NOT NULL,
        version integer NOT NULL DEFAULT 1,
        recorded_at timestamptz,
        updated_at timestamptz
    )
    """,
    "CREATE INDEX activity_lead ON activity (lead_id, id)",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE activity")
