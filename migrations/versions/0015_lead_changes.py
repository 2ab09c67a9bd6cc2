"""Let people change leads: say that a value is none, delete, tag, judge, many at once.

Why: a person's word that there is no value must win over any provider's, so it is a row too
(`value` null, human only). What a bulk action is to do is fixed when it starts, and what each lead
had before is kept beside it, so that it goes on after a crash and can be undone exactly. Labels
keep the score and the snapshot they are a verdict on. `tag` lists the tags that were ever given:
`lead.tags` (0014) says who has them.
Locks: ACCESS EXCLUSIVE on field_value while its rows are checked (a second a million), on lead
for an instant; the rest are new tables.
Undo: drops the tables, and the words that there is no value.
"""

from leadflood.engine.db.migrations import run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE tag (
        name text PRIMARY KEY CHECK (name <> ''),
        created_at timestamptz NOT NULL,
        created_by text NOT NULL
    )
    """,
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
    """
    CREATE TABLE label (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL REFERENCES lead (id),
        kind text NOT NULL CHECK (kind <> ''),
        outcome text NOT NULL CHECK (outcome <> ''),
        note text NOT NULL DEFAULT '',
        happened_at timestamptz NOT NULL,
        source text NOT NULL CHECK (source <> ''),
        recorded_by text NOT NULL CHECK (recorded_by <> ''),
        recorded_at timestamptz NOT NULL,
        icp_id uuid REFERENCES icp_profile (id),
        prediction_id uuid REFERENCES score_prediction (id),
        snapshot_id uuid REFERENCES feature_snapshot (id),
        CONSTRAINT label_has_whole_score CHECK (
            num_nulls(prediction_id, snapshot_id) IN (0, 2)
            AND (prediction_id IS NULL OR icp_id IS NOT NULL))
    )
    """,
    "CREATE INDEX label_lead ON label (lead_id, kind, happened_at, id)",
    "CREATE INDEX label_time ON label (happened_at, id)",
    """
    CREATE INDEX lead_deleted ON lead (deleted_at, id)
    WHERE deleted_at IS NOT NULL AND merged_into IS NULL
    """,
)


def upgrade() -> None:
    """Create the tables, and let a person say that there is no value."""
    run("ALTER TABLE lead ADD COLUMN deleted_by text")
    run("ALTER TABLE field_value DROP CONSTRAINT field_value_value_check")
    run(
        """
        ALTER TABLE field_value ADD CONSTRAINT field_value_value_check
        CHECK (value NOT IN ('', '""', '[]') AND (value <> 'null' OR is_human))
        """
    )
    for statement in TABLES:
        run(statement)


def downgrade() -> None:
    """Drop them again."""
    for table in ("label", "bulk_item", "bulk_action", "tag"):
        run(f"DROP TABLE {table}")
    run("DROP INDEX lead_deleted")
    run("DELETE FROM field_value WHERE value = 'null'")
    run("ALTER TABLE field_value DROP CONSTRAINT field_value_value_check")
    run(
        """
        ALTER TABLE field_value ADD CONSTRAINT field_value_value_check
        CHECK (value NOT IN ('', 'null', '""', '[]'))
        """
    )
    run("ALTER TABLE lead DROP COLUMN deleted_by")
