"""Create companies.

Why: people of one domain work for one company, and lists of companies are searched by name.
Locks: new tables only. Undo: drops the table, with every company in it.
"""

from leadflood.engine.db.migrations import run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE company (
        id uuid PRIMARY KEY,
        domain text NOT NULL UNIQUE CHECK (domain <> '' AND domain = lower(domain)),
        name text,
        created_at timestamptz NOT NULL,
        version integer NOT NULL DEFAULT 1,
        updated_at timestamptz,
        owner text
    )
    """,
    """
    CREATE INDEX company_words ON company USING gin (to_tsvector(
        'simple', coalesce(name, '') || ' ' || replace(domain, '.', ' ')))
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE company")
