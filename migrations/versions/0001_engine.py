"""Create the engine's tables: jobs and how they ended, runs, nodes, switches, events.

Why: everything durable about work in hand lives here; nothing here knows what a lead is. A run is
`is_loading` while its file is still read in parts, so that it does not end between two of them. A
`run_check` names a run that may have ended: whoever looks reads these, not all runs that go on.
`installation.beat` counts the beats of all nodes, `restored_at` stands while sends that were due
before a restore are doubtful, `pruned_…` is the place in the event log up to which it was pruned.
Locks: new tables only. Undo: drops the tables, with all jobs and events.
"""

from leadflood.engine.db.migrations import run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE installation (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        clock_kind text NOT NULL CHECK (clock_kind IN ('system', 'manual')),
        mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
        era integer NOT NULL DEFAULT 1,
        beat bigint NOT NULL DEFAULT 0,
        system_identifier text NOT NULL,
        timeline bigint NOT NULL,
        database_oid bigint NOT NULL,
        last_beat_at timestamptz,
        restored_at timestamptz,
        pruned_era integer NOT NULL DEFAULT 0,
        pruned_xid xid8 NOT NULL DEFAULT '0',
        pruned_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE node (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        beat bigint NOT NULL DEFAULT 0,
        name text NOT NULL,
        lock_path text,
        started_at timestamptz NOT NULL,
        last_beat_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE run (
        id uuid PRIMARY KEY,
        kind text NOT NULL,
        title text NOT NULL DEFAULT '',
        state text NOT NULL DEFAULT 'running'
            CHECK (state IN ('running', 'completed', 'cancelled')),
        sends text NOT NULL DEFAULT 'hold' CHECK (sends IN ('never', 'hold', 'go')),
        providers text[],
        cap_micros bigint CHECK (cap_micros >= 0),
        lead_cap_micros bigint CHECK (lead_cap_micros >= 0),
        key text UNIQUE,
        created_at timestamptz NOT NULL,
        ended_at timestamptz,
        cancelled_at timestamptz,
        cancelled_by text,
        is_loading boolean NOT NULL DEFAULT false,
        opened_by text NOT NULL DEFAULT '',
        is_shared boolean NOT NULL DEFAULT false,
        repeats boolean NOT NULL DEFAULT false,
        is_sweeping boolean NOT NULL DEFAULT false CHECK (state = 'cancelled' OR NOT is_sweeping)
    )
    """,
    "CREATE INDEX run_sweeping ON run (id) WHERE is_sweeping",
    "CREATE INDEX run_ended ON run (id) WHERE kind = 'lead' AND state <> 'running'",
    "CREATE INDEX run_open ON run (id) WHERE state = 'running'",
    "CREATE INDEX run_kind ON run (kind, id) WHERE kind <> 'lead'",
    """
    CREATE TABLE run_check (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        run_id uuid NOT NULL
    )
    """,
    "ALTER TABLE run_check SET (autovacuum_vacuum_threshold = 5000)",
    """
    CREATE TABLE job (
        id uuid PRIMARY KEY,
        run_id uuid,
        created_at timestamptz NOT NULL,
        run_at timestamptz,
        turn bigint NOT NULL DEFAULT 0,
        claim bigint NOT NULL DEFAULT 0,
        node_id bigint,
        state smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
        priority smallint NOT NULL DEFAULT 0,
        attempts smallint NOT NULL DEFAULT 0,
        losses smallint NOT NULL DEFAULT 0,
        stage text NOT NULL,
        key text,
        request_id text,
        trace_parent text,
        payload text NOT NULL,
        again text,
        last_error text
    )
    """,
    "COMMENT ON COLUMN job.state IS '0 queued, 1 running (claimed by node_id), 2 scheduled'",
    "CREATE INDEX job_queued ON job (stage, priority, turn, id) WHERE state = 0",
    "CREATE INDEX job_claimed ON job (node_id) WHERE state = 1",
    "CREATE INDEX job_lost ON job (losses, id) WHERE losses > 0",
    "CREATE INDEX job_scheduled ON job (run_at) WHERE state = 2",
    "CREATE UNIQUE INDEX job_key ON job (key) WHERE key IS NOT NULL",
    "CREATE INDEX job_run ON job (run_id) WHERE run_id IS NOT NULL",
    """
    ALTER TABLE job SET (
        autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2,
        autovacuum_analyze_threshold = 50000)
    """,
    """
    CREATE TABLE history (
        id uuid PRIMARY KEY,
        run_id uuid,
        created_at timestamptz NOT NULL,
        finished_at timestamptz NOT NULL,
        state smallint NOT NULL CHECK (state BETWEEN 3 AND 5),
        attempts smallint NOT NULL,
        losses smallint NOT NULL,
        stage text NOT NULL,
        error_code text
    )
    """,
    "COMMENT ON COLUMN history.state IS '3 completed, 4 failed, 5 cancelled'",
    "CREATE INDEX history_not_completed ON history (id) WHERE state <> 3",
    """
    CREATE TABLE dead_letter (
        id uuid PRIMARY KEY,
        run_id uuid,
        stage text NOT NULL,
        key text,
        turn bigint NOT NULL,
        priority smallint NOT NULL,
        attempts smallint NOT NULL,
        losses smallint NOT NULL,
        payload text NOT NULL,
        error_code text NOT NULL,
        error text NOT NULL,
        chain text NOT NULL,
        created_at timestamptz NOT NULL,
        died_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX dead_letter_died ON dead_letter (died_at)",
    "CREATE INDEX dead_letter_stage ON dead_letter (stage, died_at)",
    "CREATE INDEX dead_letter_run ON dead_letter (run_id)",
    """
    CREATE TABLE event (
        era integer NOT NULL,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        id uuid NOT NULL,
        at timestamptz NOT NULL,
        version bigint,
        subject uuid,
        run_id uuid,
        type text NOT NULL,
        payload text NOT NULL,
        PRIMARY KEY (era, xid, id)
    )
    """,
    "CREATE INDEX event_subject ON event (subject, id) WHERE subject IS NOT NULL",
    """
    CREATE TABLE periodic (
        name text PRIMARY KEY,
        last_tick_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE switch (
        name text PRIMARY KEY,
        state text NOT NULL,
        by_whom text NOT NULL,
        reason text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "switch",
        "periodic",
        "event",
        "dead_letter",
        "history",
        "job",
        "run_check",
        "run",
        "node",
        "installation",
    ):
        run(f"DROP TABLE {table}")
