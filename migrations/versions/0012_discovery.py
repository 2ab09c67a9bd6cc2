"""Create discovery runs, their pages and records.

Why: a page, its leads, its records and the next cursor are committed together; the page number is
what makes a second commit of the same page change nothing. The same search within a day is one
run (`ask_hash`); the query and the answer of each page are kept for inspection.
Locks: new tables only. Undo: drops the tables; leads stay.
"""

from leadflood.engine.db.migrations import run

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
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
        stale_page_count integer NOT NULL,
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
        ask_hash bytea,
        first_job_id uuid,
        owner text,
        CONSTRAINT discovery_code_tells_an_end CHECK (
            CASE state WHEN 'FAILED' THEN code IS NOT NULL WHEN 'COMPLETED' THEN true
            ELSE code IS NULL END
        )
    )
    """,
    """
    CREATE INDEX discovery_run_ask ON discovery_run (ask_hash, created_at)
    WHERE ask_hash IS NOT NULL
    """,
    "CREATE INDEX discovery_run_icp ON discovery_run (icp_id, id)",
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
        refused_text text,
        PRIMARY KEY (run_id, position)
    )
    """,
    "CREATE INDEX discovery_record_lead ON discovery_record (lead_id, run_id)",
    """
    COMMENT ON COLUMN discovery_record.refused_text IS 'what a refused record said; others became
    values'
    """,
    """
    CREATE TABLE discovery_page (
        run_id uuid NOT NULL REFERENCES discovery_run (id),
        page integer NOT NULL,
        cursor text,
        asked text NOT NULL,
        ignored text NOT NULL,
        next_cursor text,
        record_count integer NOT NULL,
        discovered_count integer NOT NULL,
        duplicate_count integer NOT NULL,
        rejected_count integer NOT NULL,
        error_count integer NOT NULL,
        cost_micros bigint NOT NULL,
        total_count bigint,
        code text,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (run_id, page)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("discovery_page", "discovery_record", "discovery_run"):
        run(f"DROP TABLE {table}")
