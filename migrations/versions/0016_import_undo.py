"""Keep the rows of a file from its upload on, and what each did, so that an import can be undone.

Why: a file brought over HTTP waits for its mapping, survives restarts and is seen by all nodes, so
its rows are staged in `import_row` and get their end there. To undo an import exactly, a row
remembers what it alone added beside values: keys, a company, tags, merges. Its values are found by
their evidence, which names the import and the line.
Locks: ACCESS EXCLUSIVE on import and import_row while the indexes are built (seconds a million).
Undo: drops what was added, and the files that were never started.
"""

from leadflood.engine.db.migrations import run

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

IMPORT = (
    """
    state text NOT NULL DEFAULT 'completed' CHECK (state IN (
        'uploaded', 'mapped', 'running', 'completed', 'failed', 'undoing', 'undone'))
    """,
    "version integer NOT NULL DEFAULT 1",
    "owner text",
    "made_by text NOT NULL DEFAULT ''",
    "byte_count bigint NOT NULL DEFAULT 0",
    "warnings text[] NOT NULL DEFAULT '{}'",
    "plan text",
    "icp_id uuid",
    "code text",
    "place integer NOT NULL DEFAULT 0",
    "created_count integer NOT NULL DEFAULT 0",
    "updated_count integer NOT NULL DEFAULT 0",
    "skipped_count integer NOT NULL DEFAULT 0",
    "duplicate_count integer NOT NULL DEFAULT 0",
    "undone_count integer NOT NULL DEFAULT 0",
    "kept_count integer NOT NULL DEFAULT 0",
    "is_undoable boolean NOT NULL DEFAULT false",
    "started_at timestamptz",
    "ended_at timestamptz",
    "job_id uuid",
    "undo_job_id uuid",
)
ROW = (
    """
    outcome text CHECK (outcome IN (
        'created', 'updated', 'duplicate', 'skipped', 'bad', 'undone', 'kept'))
    """,
    "before text",
    "company_id uuid",
    "made_company boolean NOT NULL DEFAULT false",
    "new_keys text[] NOT NULL DEFAULT '{}'",
    "new_tags text[] NOT NULL DEFAULT '{}'",
    "merged uuid[] NOT NULL DEFAULT '{}'",
)


def upgrade() -> None:
    """Add the columns; what was imported before cannot be undone."""
    run(f"ALTER TABLE import {', '.join(f'ADD COLUMN {column}' for column in IMPORT)}")
    run(f"ALTER TABLE import_row {', '.join(f'ADD COLUMN {column}' for column in ROW)}")
    run("ALTER TABLE import_row DROP CONSTRAINT import_row_ends_one_way")
    run(
        """
        UPDATE import_row SET outcome = CASE WHEN reason IS NULL THEN 'updated' ELSE 'bad' END
        """
    )
    run(
        """
        ALTER TABLE import_row ADD CONSTRAINT import_row_tells_its_end CHECK (
            (outcome IS NOT NULL OR num_nonnulls(lead_id, reason) = 0)
            AND (outcome NOT IN ('bad', 'kept') OR reason IS NOT NULL)
            AND (outcome NOT IN ('created', 'updated', 'duplicate') OR lead_id IS NOT NULL))
        """
    )
    run("CREATE INDEX import_row_outcome ON import_row (run_id, outcome, number)")
    run("CREATE INDEX import_row_lead ON import_row (lead_id) WHERE lead_id IS NOT NULL")
    run(
        """
        CREATE INDEX import_row_company ON import_row (run_id, company_id) WHERE made_company
        """
    )
    run("CREATE INDEX import_file ON import (sha256)")
    run("CREATE INDEX import_owner ON import (owner, run_id) WHERE owner IS NOT NULL")


def downgrade() -> None:
    """Drop them again."""
    run("DROP INDEX import_owner")
    run("DROP INDEX import_file")
    run("DROP INDEX import_row_company")
    run("DROP INDEX import_row_lead")
    run("DROP INDEX import_row_outcome")
    run("DELETE FROM import_row WHERE lead_id IS NULL AND reason IS NULL")
    run("UPDATE import_row SET reason = NULL WHERE lead_id IS NOT NULL")
    run("ALTER TABLE import_row DROP CONSTRAINT import_row_tells_its_end")
    run(f"ALTER TABLE import_row {', '.join(f'DROP COLUMN {_name(each)}' for each in ROW)}")
    run(
        """
        ALTER TABLE import_row ADD CONSTRAINT import_row_ends_one_way
        CHECK (num_nonnulls(lead_id, reason) = 1)
        """
    )
    run(
        """
        DELETE FROM import WHERE state IN ('uploaded', 'mapped') AND NOT EXISTS (
            SELECT FROM import_row WHERE import_row.run_id = import.run_id)
        """
    )
    run(f"ALTER TABLE import {', '.join(f'DROP COLUMN {_name(each)}' for each in IMPORT)}")


def _name(column: str) -> str:
    return column.split(maxsplit=1)[0]
