"""Let searches of an ICP be found again, looked into and refused twice; let ICPs be put away.

Why: the same search within a day is one run (`ask_hash`); what a provider was asked and answered is
kept page by page; an ICP that is no longer wanted is archived beside its versions, which never
change; a message has a version, so that two editors do not overwrite each other. The indexes are
for lists: runs of an ICP, runs of a kind, jobs that failed.
Locks: ACCESS EXCLUSIVE on discovery_run, discovery_record and message for a moment (defaults are
not written to rows); SHARE on discovery_run, run and history while their indexes are built.
Undo: drops the tables, columns and indexes; archived ICPs come back into the lists.
"""

from leadflood.engine.db.migrations import run

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE icp_archive (
        profile_id uuid PRIMARY KEY,
        archived_at timestamptz NOT NULL,
        archived_by text NOT NULL
    )
    """,
    "ALTER TABLE discovery_run ADD COLUMN ask_hash bytea",
    "ALTER TABLE discovery_run ADD COLUMN first_job_id uuid",
    "ALTER TABLE discovery_record ADD COLUMN told text",
    "COMMENT ON COLUMN discovery_record.told IS 'what a refused record said; others became values'",
    """
    CREATE INDEX discovery_run_ask ON discovery_run (ask_hash, created_at)
    WHERE ask_hash IS NOT NULL
    """,
    "CREATE INDEX discovery_run_icp ON discovery_run (icp_id, id)",
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
    "CREATE INDEX run_kind ON run (kind, id) WHERE kind <> 'lead'",
    "CREATE INDEX history_not_completed ON history (id) WHERE state <> 3",
    "ALTER TABLE message ADD COLUMN version integer NOT NULL DEFAULT 1",
)


def upgrade() -> None:
    """Create them."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop them again."""
    run("ALTER TABLE message DROP COLUMN version")
    run("DROP INDEX history_not_completed")
    run("DROP INDEX run_kind")
    run("DROP TABLE discovery_page")
    run("DROP INDEX discovery_run_icp")
    run("DROP INDEX discovery_run_ask")
    run("ALTER TABLE discovery_record DROP COLUMN told")
    run("ALTER TABLE discovery_run DROP COLUMN first_job_id")
    run("ALTER TABLE discovery_run DROP COLUMN ask_hash")
    run("DROP TABLE icp_archive")
