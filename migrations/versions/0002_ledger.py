"""Create the ledger: what calls cost, the caps, the answers kept, the allowances leased.

Why: money is reserved before a call and settled after it; an answer is bought once; limits hold
across processes, also those that operators set while the product runs. A line's id is the call
reference that the other side prints on its invoice.
Locks: new tables only. Undo: drops the tables, with all lines and answers.
"""

from leadflood.engine.db.migrations import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE provider_call (
        id uuid PRIMARY KEY,
        provider text NOT NULL,
        operation text NOT NULL,
        run_id uuid,
        job_id uuid,
        node_id bigint NOT NULL,
        state text NOT NULL CHECK (state IN ('reserved', 'settled', 'released', 'unresolved')),
        reserved_micros bigint NOT NULL CHECK (reserved_micros >= 0),
        settled_micros bigint CHECK (settled_micros >= 0),
        subjects text[] NOT NULL,
        shares bigint[] NOT NULL,
        outcome text,
        question_hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        settled_at timestamptz,
        CHECK ((state = 'settled') = (settled_micros IS NOT NULL)),
        CHECK (cardinality(subjects) = cardinality(shares))
    )
    """,
    "COMMENT ON TABLE provider_call IS 'one call to the outside, as on the invoice'",
    "COMMENT ON COLUMN provider_call.id IS 'the call reference given to the other side'",
    "COMMENT ON COLUMN provider_call.shares IS 'what each subject bears; they sum to the line'",
    "CREATE INDEX provider_call_open ON provider_call (node_id) WHERE state = 'reserved'",
    "CREATE INDEX provider_call_unresolved ON provider_call (id) WHERE state = 'unresolved'",
    """
    CREATE INDEX provider_call_failed ON provider_call (provider, id)
    WHERE outcome IS NOT NULL AND outcome NOT IN ('found', 'miss', 'net.not_sent')
    """,
    """
    CREATE TABLE budget (
        scope text COLLATE "C" PRIMARY KEY,
        cap_micros bigint CHECK (cap_micros >= 0),
        spent_micros bigint NOT NULL DEFAULT 0 CHECK (spent_micros >= 0),
        reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0)
    ) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0)
    """,
    "COMMENT ON COLUMN budget.cap_micros IS 'the cap it was last checked against; null is none'",
    """
    CREATE TABLE answer (
        provider text NOT NULL,
        operation text NOT NULL,
        question_hash bytea NOT NULL,
        body bytea NOT NULL,
        found boolean NOT NULL,
        cost_micros bigint NOT NULL CHECK (cost_micros >= 0),
        stored_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (question_hash, operation, provider)
    )
    """,
    "CREATE INDEX answer_expires ON answer (expires_at)",
    """
    CREATE TABLE answer_name (
        provider text NOT NULL,
        operation text NOT NULL,
        question_hash bytea NOT NULL,
        answer_hash bytea NOT NULL,
        PRIMARY KEY (question_hash, operation, provider),
        FOREIGN KEY (answer_hash, operation, provider)
            REFERENCES answer (question_hash, operation, provider) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX answer_name_answer ON answer_name (answer_hash, operation, provider)",
    "COMMENT ON TABLE answer_name IS 'further questions that a hit answers'",
    """
    CREATE TABLE rate_limit (
        provider text NOT NULL,
        api_key text NOT NULL,
        limit_name text NOT NULL,
        state text NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (provider, api_key, limit_name)
    ) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0)
    """,
    "COMMENT ON COLUMN rate_limit.state IS 'its windows: next free time, used, what headers said'",
    """
    CREATE TABLE tuning (
        name text PRIMARY KEY,
        version bigint NOT NULL CHECK (version >= 0),
        state text NOT NULL,
        by_whom text NOT NULL,
        reason text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE tuning IS 'limits and caps set by hand: a provider, or all for the caps'",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("tuning", "rate_limit", "answer_name", "answer", "budget", "provider_call"):
        run(f"DROP TABLE {table}")
