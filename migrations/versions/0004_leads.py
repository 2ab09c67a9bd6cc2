"""Create the shared kernel: leads, companies, identity keys, provenance, activity, imports.

Why: a person is one lead however many sources name them, and a value exists only with its
evidence. Identity keys carry no foreign key: they are claimed before the lead they name is
written, in the same transaction. Values carry none either: ten checks a lead would cost more than
the rows, and a lead's row is locked by the transaction that writes its values.
Locks: new tables only.
Undo: drops the tables, with every lead in them.
"""

from leadflood.engine.db.migrations import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE company (
        id uuid PRIMARY KEY,
        domain text NOT NULL UNIQUE CHECK (domain <> '' AND domain = lower(domain)),
        name text,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE lead (
        id uuid PRIMARY KEY,
        version integer NOT NULL DEFAULT 1,
        status text NOT NULL CHECK (status IN ('new', 'processing', 'enriched', 'failed')),
        failed_code text,
        source text NOT NULL CHECK (source <> ''),
        company_id uuid REFERENCES company (id),
        company_rank double precision,
        merged_into uuid REFERENCES lead (id),
        merge_reason text,
        merged_by text,
        merged_at timestamptz,
        kept_apart uuid[] NOT NULL DEFAULT '{}',
        owner text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT lead_failure_has_code CHECK ((status = 'failed') = (failed_code IS NOT NULL)),
        CONSTRAINT lead_merges_into_older CHECK (merged_into < id),
        CONSTRAINT lead_merge_is_told CHECK (
            num_nulls(merged_into, merge_reason, merged_by, merged_at) IN (0, 4)
        )
    )
    """,
    """
    CREATE INDEX lead_merged ON lead (merged_into) WHERE merged_into IS NOT NULL
    """,
    """
    CREATE TABLE identity (
        kind text NOT NULL CHECK (kind <> ''),
        value text NOT NULL CHECK (value <> ''),
        lead_id uuid NOT NULL,
        PRIMARY KEY (kind, value)
    )
    """,
    """
    CREATE INDEX identity_lead ON identity (lead_id)
    """,
    """
    CREATE TABLE field_value (
        subject_id uuid NOT NULL,
        field text NOT NULL CHECK (field <> ''),
        source text NOT NULL CHECK (source <> ''),
        method text NOT NULL CHECK (method <> ''),
        evidence_hash bytea NOT NULL CHECK (length(evidence_hash) = 32),
        id uuid NOT NULL,
        lead_id uuid,
        company_id uuid,
        value text NOT NULL CHECK (value NOT IN ('', 'null', '""', '[]')),
        observed_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        cost_micros bigint NOT NULL CHECK (cost_micros >= 0),
        rank double precision NOT NULL,
        is_human boolean NOT NULL,
        CONSTRAINT field_value_has_one_subject CHECK (
            num_nonnulls(lead_id, company_id) = 1 AND subject_id = coalesce(lead_id, company_id)
        ),
        PRIMARY KEY (subject_id, field, source, method, evidence_hash)
    )
    """,
    """
    CREATE TABLE activity (
        id uuid PRIMARY KEY,
        lead_id uuid NOT NULL REFERENCES lead (id),
        kind text NOT NULL,
        detail text NOT NULL,
        actor text NOT NULL,
        happened_at timestamptz NOT NULL
    )
    """,
    """
    CREATE INDEX activity_lead ON activity (lead_id, id)
    """,
    """
    CREATE TABLE import (
        run_id uuid PRIMARY KEY,
        name text NOT NULL,
        sha256 bytea NOT NULL CHECK (length(sha256) = 32),
        encoding text NOT NULL,
        delimiter text NOT NULL,
        mapping text NOT NULL,
        good_count integer NOT NULL CHECK (good_count >= 0),
        bad_count integer NOT NULL CHECK (bad_count >= 0),
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE import_row (
        run_id uuid NOT NULL REFERENCES import (run_id),
        number integer NOT NULL,
        lead_id uuid,
        reason text,
        raw text NOT NULL,
        PRIMARY KEY (run_id, number),
        CONSTRAINT import_row_ends_one_way CHECK (num_nonnulls(lead_id, reason) = 1)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in TABLES:
        run(statement)


def downgrade() -> None:
    """Drop them again."""
    for table in ("import_row", "import", "activity", "field_value", "identity", "lead", "company"):
        run(f"DROP TABLE {table}")
