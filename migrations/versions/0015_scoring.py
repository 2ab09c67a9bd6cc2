"""Create scores as sums: the database refuses a score that is not the sum of its parts.

Why: a score is explained by its contributions, so they and the score must never disagree. One
foreign key, to the snapshot, which goes with its lead: each further one would cost a look-up for
every score. The version of the lead that was scored is kept beside it: it says which of two scores
is the newer one, whichever was stored last.
Locks: a short SHARE ROW EXCLUSIVE on feature_snapshot for the foreign key.
Undo: drops the scores; the stage computes them again.
"""

from leadflood.engine.db.migrations import run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE FUNCTION points_sum(points integer[]) RETURNS bigint LANGUAGE sql
    IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT coalesce(sum(point), 0) FROM unnest(points) AS part (point))
    """,
    """
    CREATE TABLE scoring_algorithm (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        kind text NOT NULL CHECK (kind IN ('rules')),
        definition text NOT NULL,
        UNIQUE (name, version)
    )
    """,
    """
    INSERT INTO scoring_algorithm (id, name, version, kind, definition)
    VALUES ('019a0000-0000-7000-8000-000000000001', 'rules', 1, 'rules', '{}')
    """,
    """
    CREATE TABLE score_prediction (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL,
        icp_id uuid NOT NULL,
        run_id uuid,
        snapshot_id uuid NOT NULL REFERENCES feature_snapshot (id) ON DELETE CASCADE,
        source_version bigint NOT NULL,
        algorithm_id uuid NOT NULL,
        score_milli integer NOT NULL CHECK (score_milli BETWEEN 0 AND 100000),
        band text NOT NULL CHECK (band IN ('LOW', 'MEDIUM', 'HIGH')),
        hard_filter_failed boolean NOT NULL,
        contribution_names text[] NOT NULL,
        contribution_points integer[] NOT NULL,
        trace text NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT score_is_the_sum CHECK (score_milli = points_sum(contribution_points)),
        CONSTRAINT every_point_has_a_name
            CHECK (cardinality(contribution_names) = cardinality(contribution_points)),
        CONSTRAINT failed_filter_scores_nothing CHECK (NOT hard_filter_failed OR score_milli = 0),
        CONSTRAINT score_once
            UNIQUE NULLS NOT DISTINCT (lead_id, icp_id, snapshot_id, run_id, algorithm_id)
    )
    """,
    "CREATE INDEX score_prediction_run ON score_prediction (run_id, score_milli DESC, lead_id)",
    "CREATE INDEX score_prediction_snapshot ON score_prediction (snapshot_id)",
    "CREATE INDEX score_prediction_icp ON score_prediction (icp_id, score_milli, lead_id)",
    "CREATE INDEX score_prediction_run_lead ON score_prediction (run_id, lead_id)",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("score_prediction", "scoring_algorithm"):
        run(f"DROP TABLE {table}")
    run("DROP FUNCTION points_sum(integer[])")
