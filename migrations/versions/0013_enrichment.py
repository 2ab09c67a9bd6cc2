"""Create what enrichment remembers: its ends, its questions to providers, its statistics.

Why: a lead goes on once a run, also when two of the run's leads turn out to be one person; the
statistics say which provider fills which field.
Locks: new tables only. Undo: drops the tables; values stay with the leads.
"""

from leadflood.engine.db.migrations import run

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE enrichment (
        run_id uuid NOT NULL,
        lead_id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('PENDING', 'COMPLETED', 'FAILED')),
        code text,
        ended_at timestamptz NOT NULL,
        PRIMARY KEY (lead_id, run_id)
    )
    """,
    """
    CREATE TABLE enrichment_record (
        run_id uuid NOT NULL,
        lead_id uuid NOT NULL,
        provider text NOT NULL,
        state text NOT NULL CHECK (state IN ('PENDING', 'COMPLETED', 'FAILED')),
        code text,
        is_found boolean NOT NULL,
        is_cached boolean NOT NULL,
        cost_micros bigint NOT NULL CHECK (cost_micros >= 0),
        asked_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (lead_id, run_id, provider)
    )
    """,
    """
    CREATE TABLE waterfall_stat (
        provider text NOT NULL,
        field text NOT NULL,
        day date NOT NULL,
        asked_count bigint NOT NULL,
        found_count bigint NOT NULL,
        PRIMARY KEY (provider, field, day)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("waterfall_stat", "enrichment_record", "enrichment"):
        run(f"DROP TABLE {table}")
