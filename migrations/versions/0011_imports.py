"""Create imports, their staged rows, and saved mappings.

Why: an uploaded file waits for its mapping, survives restarts and is seen by all nodes, so its
rows are staged and each keeps its outcome. To undo an import exactly, a row remembers what it
alone added beside values: keys, a company, tags, merges. Its values are found by their evidence,
which names the import and the line.
Locks: new tables only. Undo: drops them; the leads that files brought stay.
"""

from leadflood.engine.db.migrations import run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE import (
        run_id uuid PRIMARY KEY,
        name text NOT NULL,
        sha256 bytea NOT NULL CHECK (length(sha256) = 32),
        encoding text NOT NULL,
        delimiter text NOT NULL,
        sheet text,
        sheets text[] NOT NULL DEFAULT '{}',
        mapping text NOT NULL,
        subject text NOT NULL CHECK (subject IN ('people', 'companies')),
        good_count integer NOT NULL CHECK (good_count >= 0),
        bad_count integer NOT NULL CHECK (bad_count >= 0),
        created_at timestamptz NOT NULL,
        state text NOT NULL DEFAULT 'completed' CHECK (state IN (
            'uploaded', 'mapped', 'running', 'completed', 'failed', 'undoing', 'undone')),
        version integer NOT NULL DEFAULT 1,
        owner text,
        made_by text NOT NULL DEFAULT '',
        byte_count bigint NOT NULL DEFAULT 0,
        warnings text[] NOT NULL DEFAULT '{}',
        plan text,
        icp_id uuid,
        code text,
        notes text NOT NULL DEFAULT '[]',
        place integer NOT NULL DEFAULT 0,
        created_count integer NOT NULL DEFAULT 0,
        updated_count integer NOT NULL DEFAULT 0,
        skipped_count integer NOT NULL DEFAULT 0,
        duplicate_count integer NOT NULL DEFAULT 0,
        undone_count integer NOT NULL DEFAULT 0,
        kept_count integer NOT NULL DEFAULT 0,
        hidden_count integer NOT NULL DEFAULT 0,
        opted_out_count integer NOT NULL DEFAULT 0,
        is_undoable boolean NOT NULL DEFAULT false,
        started_at timestamptz,
        ended_at timestamptz,
        job_id uuid,
        undo_job_id uuid,
        undo_owner uuid
    )
    """,
    "CREATE INDEX import_file ON import (sha256)",
    "CREATE INDEX import_owner ON import (owner, run_id) WHERE owner IS NOT NULL",
    """
    CREATE TABLE import_row (
        run_id uuid NOT NULL REFERENCES import (run_id),
        number integer NOT NULL,
        lead_id uuid,
        reason text,
        raw text NOT NULL,
        outcome text CHECK (outcome IN (
            'created', 'updated', 'duplicate', 'skipped', 'bad', 'undone', 'kept')),
        before text,
        made_lead boolean NOT NULL DEFAULT false,
        company_id uuid,
        made_company boolean NOT NULL DEFAULT false,
        new_keys text[] NOT NULL DEFAULT '{}',
        new_tags text[] NOT NULL DEFAULT '{}',
        merged uuid[] NOT NULL DEFAULT '{}',
        notes text[] NOT NULL DEFAULT '{}',
        owner text,
        PRIMARY KEY (run_id, number),
        CONSTRAINT import_row_tells_its_end CHECK (
            (outcome IS NOT NULL OR num_nonnulls(lead_id, reason) = 0)
            AND (outcome NOT IN ('bad', 'kept') OR reason IS NOT NULL)
            AND (outcome NOT IN ('created', 'updated', 'duplicate') OR lead_id IS NOT NULL)
        )
    )
    """,
    """
    CREATE TABLE import_mapping (
        id uuid PRIMARY KEY,
        owner text,
        name text NOT NULL,
        fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
        headers text[] NOT NULL,
        mapping text NOT NULL,
        made_by text NOT NULL,
        updated_at timestamptz NOT NULL,
        UNIQUE NULLS NOT DISTINCT (owner, name)
    )
    """,
    "CREATE INDEX import_mapping_fingerprint ON import_mapping (fingerprint)",
    "CREATE INDEX import_row_outcome ON import_row (run_id, outcome, number)",
    "CREATE INDEX import_row_lead ON import_row (lead_id) WHERE lead_id IS NOT NULL",
    "CREATE INDEX import_row_company ON import_row (run_id, company_id) WHERE made_company",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("import_mapping", "import_row", "import"):
        run(f"DROP TABLE {table}")
