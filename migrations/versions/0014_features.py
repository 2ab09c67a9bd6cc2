"""Create feature snapshots: what was known of a lead, as numbers and words, when it was scored.

Why: a score can be explained and a model trained only from what was known then; a trigger keeps
a snapshot as it was, and equal inputs give the same row.
Locks: a short SHARE ROW EXCLUSIVE on lead for the foreign key.
Undo: drops the snapshots; they can be computed again from the leads as they are then.
"""

from leadflood.engine.db.migrations import run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE feature_snapshot (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL REFERENCES lead (id) ON DELETE CASCADE,
        icp_id uuid NOT NULL,
        snapshot_version integer NOT NULL CHECK (snapshot_version > 0),
        source_version bigint NOT NULL,
        vector_hash bytea NOT NULL CHECK (octet_length(vector_hash) = 32),
        vector text NOT NULL,
        created_at timestamptz NOT NULL,
        UNIQUE (lead_id, icp_id, snapshot_version, source_version, vector_hash)
    )
    """,
    """
    CREATE TRIGGER feature_snapshot_is_immutable BEFORE UPDATE ON feature_snapshot
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE feature_snapshot")
