"""Create possible duplicates, and what leads are compared by.

Why: two leads that may be one are for a person to decide, and what they decided is kept for good,
also for leads that come anew with the same keys (different_pair). Leads are compared with those
that share a block; a block is the hash of what both have, so that the search reads one index.
Pairs go with their leads; the blocks of leads that are gone are pruned.
Locks: new tables only. Undo: drops the tables, with every decision in them.
"""

from leadflood.engine.db.migrations import run

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE possible_duplicate (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL REFERENCES lead (id) ON DELETE CASCADE,
        other_id uuid NOT NULL REFERENCES lead (id) ON DELETE CASCADE,
        state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'different')),
        score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
        reasons text[] NOT NULL,
        found_at timestamptz NOT NULL,
        decided_at timestamptz,
        decided_by text,
        UNIQUE (lead_id, other_id),
        CONSTRAINT possible_duplicate_names_the_older_first CHECK (lead_id < other_id),
        CONSTRAINT possible_duplicate_is_decided_by_somebody CHECK (
            (state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL))
    )
    """,
    "CREATE INDEX possible_duplicate_other ON possible_duplicate (other_id)",
    "CREATE INDEX possible_duplicate_likely ON possible_duplicate (state, score, id)",
    """
    CREATE TABLE duplicate_signature (
        lead_id uuid PRIMARY KEY REFERENCES lead (id) ON DELETE CASCADE,
        content bytea NOT NULL
    )
    """,
    """
    CREATE TABLE duplicate_block (
        block bigint NOT NULL,
        lead_id uuid NOT NULL,
        PRIMARY KEY (block, lead_id)
    )
    """,
    """
    CREATE TABLE different_pair (
        mark bytea PRIMARY KEY CHECK (length(mark) = 32),
        decided_at timestamptz NOT NULL
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
        "different_pair",
        "duplicate_block",
        "duplicate_signature",
        "possible_duplicate",
    ):
        run(f"DROP TABLE {table}")
