"""What lists of leads and companies are filtered, sorted and searched by.

Why: a list of a million leads reads one row a lead and one index: what is shown of a lead, its
newest score and its tags stand in its own row; the words it is found by stand beside it, so that
a new score does not touch their index. `docs/decisions/lead-search.md` says why so.
Locks: ACCESS EXCLUSIVE on lead and SHARE on score_prediction while the indexes are built: about
ten seconds for a million leads. Leads that are there are not filled in: `leadflood reindex` does
that, while the product runs.
Undo: drops what was added; nothing else is lost but tags and deletions.
"""

from leadflood.engine.db.migrations import run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = (
    "tags text[] NOT NULL DEFAULT '{}'",
    "deleted_at timestamptz",
    "full_name text",
    "title text",
    "email text",
    "company_name text",
    "country text",
    "sort_name text COLLATE \"C\" NOT NULL DEFAULT ''",
    "score_id uuid",
    "score_milli integer",
    "band text",
    "score_icp_id uuid",
    "score_run_id uuid",
    "scored_at timestamptz",
)
LISTED = "merged_into IS NULL AND deleted_at IS NULL"
INDEXES = (
    f"CREATE INDEX lead_latest ON lead (updated_at, id) WHERE {LISTED}",
    f"CREATE INDEX lead_best ON lead ((coalesce(score_milli, -1)), id) WHERE {LISTED}",
    f"CREATE INDEX lead_named ON lead (sort_name, id) WHERE {LISTED}",
    f"CREATE INDEX lead_status ON lead (status, id) WHERE {LISTED}",
    f"""
    CREATE INDEX lead_band ON lead (band, (coalesce(score_milli, -1)), id)
    WHERE {LISTED} AND band IS NOT NULL
    """,
    f"CREATE INDEX lead_source ON lead (source, id) WHERE {LISTED}",
    f"""
    CREATE INDEX lead_country ON lead (country, id)
    WHERE {LISTED} AND country IS NOT NULL
    """,
    f"""
    CREATE INDEX lead_owner ON lead (owner, id)
    WHERE {LISTED} AND owner IS NOT NULL
    """,
    "CREATE INDEX lead_company ON lead (company_id, id) WHERE company_id IS NOT NULL",
    f"""
    CREATE INDEX lead_tags ON lead USING gin (tags) WITH (fastupdate = off)
    WHERE {LISTED} AND tags <> '{{}}'
    """,
    "CREATE STATISTICS lead_standing (mcv) ON status, band FROM lead",
    "CREATE STATISTICS lead_points ON (coalesce(score_milli, -1)) FROM lead",
    "CREATE INDEX score_prediction_icp ON score_prediction (icp_id, score_milli, lead_id)",
    "CREATE INDEX score_prediction_run_lead ON score_prediction (run_id, lead_id)",
)

OTHERS = (
    """
    ALTER TABLE activity ADD COLUMN version integer NOT NULL DEFAULT 1,
        ADD COLUMN recorded_at timestamptz, ADD COLUMN updated_at timestamptz
    """,
    """
    ALTER TABLE company ADD COLUMN version integer NOT NULL DEFAULT 1,
        ADD COLUMN updated_at timestamptz
    """,
    """
    CREATE INDEX company_words ON company USING gin (to_tsvector(
        'simple', coalesce(name, '') || ' ' || replace(domain, '.', ' ')))
    """,
    """
    CREATE INDEX field_value_of_company ON field_value (field, value)
    WHERE company_id IS NOT NULL AND field IN ('company_country', 'company_industry')
    """,
)
"""What activities and companies need, now that people change them."""


def upgrade() -> None:
    """Add the columns, the words and the indexes."""
    run(f"ALTER TABLE lead {', '.join(f'ADD COLUMN {column}' for column in COLUMNS)}")
    run(
        """
        CREATE TABLE lead_text (
            lead_id uuid PRIMARY KEY REFERENCES lead (id) ON DELETE CASCADE,
            words tsvector NOT NULL
        )
        """
    )
    run(
        """
        CREATE INDEX lead_text_words ON lead_text USING gin (words)
        WITH (gin_pending_list_limit = 512)
        """
    )
    for statement in (*INDEXES, *OTHERS):
        run(statement)


def downgrade() -> None:
    """Drop them again; an index goes with the columns it names."""
    run("DROP INDEX score_prediction_icp")
    run("DROP INDEX score_prediction_run_lead")
    run("DROP INDEX lead_company")
    run("DROP INDEX field_value_of_company")
    run("DROP INDEX company_words")
    run("ALTER TABLE company DROP COLUMN version, DROP COLUMN updated_at")
    run("ALTER TABLE activity DROP COLUMN version, DROP COLUMN recorded_at, DROP COLUMN updated_at")
    run("DROP TABLE lead_text")
    names = [column.partition(" ")[0] for column in COLUMNS]
    run(f"ALTER TABLE lead {', '.join(f'DROP COLUMN {name}' for name in names)}")
