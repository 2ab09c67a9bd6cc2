"""Create discovery runs and their records.

Why: a page, its leads, its records and the next cursor are committed together; the page number is
what makes a second commit of the same page change nothing.
Locks: new tables only.
Undo: drops both tables; leads stay.
"""

from leadflood.engine.db.migrations import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE discovery_run (
        id uuid PRIMARY KEY,
        icp_id uuid NOT NULL,
        provider text NOT NULL,
        query text NOT NULL,
        state text NOT NULL CHECK (state IN ('RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
        code text,
        cursor text,
        next_page integer NOT NULL,
        next_position integer NOT NULL,
        wanted_count integer NOT NULL CHECK (wanted_count > 0),
        lead_count integer NOT NULL,
        discovered_count integer NOT NULL,
        duplicate_count integer NOT NULL,
        rejected_count integer NOT NULL,
        error_count integer NOT NULL,
        cost_micros bigint NOT NULL,
        total_count bigint,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT discovery_failure_has_code CHECK ((state = 'FAILED') = (code IS NOT NULL))
    )
    """,
    """
    CREATE TABLE discovery_record (
        run_id uuid NOT NULL REFERENCES discovery_run (id),
        position integer NOT NULL,
        page integer NOT NULL,
        provider text NOT NULL,
        provider_id text NOT NULL,
        status text NOT NULL CHECK (status IN ('DISCOVERED', 'DUPLICATE', 'REJECTED', 'ERROR')),
        reason text,
        lead_id uuid,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (run_id, position)
    )
    """,
    """
    CREATE INDEX discovery_record_lead ON discovery_record (lead_id, run_id)
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in TABLES:
        run(statement)


def downgrade() -> None:
    """Drop them again."""
    run("DROP TABLE discovery_record")
    run("DROP TABLE discovery_run")
