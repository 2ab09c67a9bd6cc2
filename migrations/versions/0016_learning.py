"""Create labels: the outcomes of leads, with the score they are a verdict on.

Why: a model learns from what was known and scored when the outcome came.
Locks: a short SHARE ROW EXCLUSIVE on the tables it refers to. Undo: drops the labels.
"""

from leadflood.engine.db.migrations import run

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATEMENTS = (
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
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE label")
