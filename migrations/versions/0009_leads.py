"""Create the shared kernel: leads, their identity keys, values with provenance, tags.

Why: a person is one lead however many sources name them, and a value exists only with its
evidence; that there is no value is a row too, and only a person can say so. Identity keys carry
no foreign key: they are claimed before the lead they name is written, in the same transaction.
A key has one holder, so that two who bring it at once wait for each other; whoever bears it too,
because it is weak or its bearers are told apart, stands in `shared_identity`.
Values carry none either: ten checks a lead would cost more than the rows, and a lead's row is
locked by the transaction that writes its values. What lists show, sort and filter by stands in
the lead's own row, so that a list of a million reads one row a lead and one index; the words it
is found by stand beside it, so that a new score does not touch their index
(docs/decisions/lead-search.md).
Locks: new tables only. Undo: drops the tables, with every lead in them.
"""

from leadflood.engine.db.migrations import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
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
        tags text[] NOT NULL DEFAULT '{}',
        deleted_at timestamptz,
        full_name text,
        title text,
        email text,
        company_name text,
        country text,
        sort_name text COLLATE "C" NOT NULL DEFAULT '',
        score_id uuid,
        score_milli integer,
        band text,
        score_icp_id uuid,
        score_run_id uuid,
        scored_at timestamptz,
        scored_version bigint,
        deleted_by text,
        CONSTRAINT lead_failure_has_code CHECK ((status = 'failed') = (failed_code IS NOT NULL)),
        CONSTRAINT lead_merges_into_older CHECK (merged_into < id),
        CONSTRAINT lead_merge_is_whole CHECK (
            num_nulls(merged_into, merge_reason, merged_by, merged_at) IN (0, 4)
        )
    )
    """,
    "CREATE INDEX lead_merged ON lead (merged_into) WHERE merged_into IS NOT NULL",
    """
    CREATE INDEX lead_latest ON lead (updated_at, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL
    """,
    """
    CREATE INDEX lead_best ON lead ((coalesce(score_milli, -1)), id)
    WHERE merged_into IS NULL AND deleted_at IS NULL
    """,
    """
    CREATE INDEX lead_named ON lead (sort_name, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL
    """,
    """
    CREATE INDEX lead_status ON lead (status, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL
    """,
    """
    CREATE INDEX lead_band ON lead (band, (coalesce(score_milli, -1)), id)
    WHERE merged_into IS NULL AND deleted_at IS NULL AND band IS NOT NULL
    """,
    """
    CREATE INDEX lead_source ON lead (source, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL
    """,
    """
    CREATE INDEX lead_country ON lead (country, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL AND country IS NOT NULL
    """,
    """
    CREATE INDEX lead_owner ON lead (owner, id)
    WHERE merged_into IS NULL AND deleted_at IS NULL AND owner IS NOT NULL
    """,
    "CREATE INDEX lead_company ON lead (company_id, id) WHERE company_id IS NOT NULL",
    """
    CREATE INDEX lead_tags ON lead USING gin (tags) WITH (fastupdate = off)
    WHERE merged_into IS NULL AND deleted_at IS NULL AND tags <> '{}'
    """,
    "CREATE STATISTICS lead_standing (mcv) ON status, band FROM lead",
    "CREATE STATISTICS lead_points ON (coalesce(score_milli, -1)) FROM lead",
    """
    CREATE INDEX lead_deleted ON lead (deleted_at, id)
    WHERE deleted_at IS NOT NULL AND merged_into IS NULL
    """,
    """
    CREATE TABLE lead_text (
        lead_id uuid PRIMARY KEY REFERENCES lead (id) ON DELETE CASCADE,
        words tsvector NOT NULL
    )
    """,
    """
    CREATE INDEX lead_text_words ON lead_text USING gin (words)
    WITH (gin_pending_list_limit = 512)
    """,
    """
    CREATE TABLE identity (
        kind text NOT NULL CHECK (kind <> ''),
        value text NOT NULL CHECK (value <> ''),
        lead_id uuid NOT NULL,
        PRIMARY KEY (kind, value)
    )
    """,
    "CREATE INDEX identity_lead ON identity (lead_id)",
    """
    CREATE TABLE shared_identity (
        kind text NOT NULL,
        value text NOT NULL,
        lead_id uuid NOT NULL,
        PRIMARY KEY (kind, value, lead_id)
    )
    """,
    "CREATE INDEX shared_identity_lead ON shared_identity (lead_id)",
    "CREATE TABLE unsearched_lead (lead_id uuid PRIMARY KEY, taken_at timestamptz)",
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
        value text NOT NULL CONSTRAINT field_value_value_check CHECK (
            value NOT IN ('', '""', '[]') AND (value <> 'null' OR is_human)
        ),
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
    CREATE INDEX field_value_of_company ON field_value (field, value)
    WHERE company_id IS NOT NULL AND field IN ('company_country', 'company_industry')
    """,
    """
    CREATE TABLE tag (
        name text PRIMARY KEY CHECK (name <> ''),
        created_at timestamptz NOT NULL,
        created_by text NOT NULL
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
        "tag",
        "field_value",
        "unsearched_lead",
        "shared_identity",
        "identity",
        "lead_text",
        "lead",
    ):
        run(f"DROP TABLE {table}")
