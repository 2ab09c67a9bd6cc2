"""Create bulk actions and their items.

Why: what a bulk action will do is fixed when it starts, and what each lead had before is kept
beside it, so that it goes on after a crash and can be undone exactly.
Locks: a short SHARE ROW EXCLUSIVE on run. Undo: drops the tables; actions cannot be undone then.
"""

from leadflood.engine.db.migrations import run

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE bulk_action (
        run_id uuid PRIMARY KEY REFERENCES run (id),
        action text NOT NULL CHECK (action IN (
            'delete', 'restore', 'assign', 'tag', 'untag', 'enrich', 'score')),
        parameters text NOT NULL,
        filter text,
        item_count integer NOT NULL CHECK (item_count > 0),
        undoes uuid UNIQUE REFERENCES bulk_action (run_id),
        sees_owner text,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL
    )
    """,
    """
    CREATE TABLE bulk_item (
        run_id uuid NOT NULL REFERENCES bulk_action (run_id),
        number integer NOT NULL CHECK (number > 0),
        lead_id uuid NOT NULL,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN (
            'waiting', 'done', 'unchanged', 'refused', 'failed', 'cancelled')),
        code text,
        owner_before text,
        tags_before text[],
        tags_after text[],
        deleted_at_before timestamptz,
        deleted_by_before text,
        ended_at timestamptz,
        PRIMARY KEY (run_id, number),
        CONSTRAINT bulk_item_says_why CHECK (
            (state IN ('refused', 'failed', 'cancelled')) = (code IS NOT NULL)),
        CONSTRAINT bulk_item_ends CHECK ((state = 'waiting') = (ended_at IS NULL))
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("bulk_item", "bulk_action"):
        run(f"DROP TABLE {table}")
