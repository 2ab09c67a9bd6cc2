"""Create ideal customer profiles and their rules: a row per version, never changed.

Why: a score names the ICP version it was made for, so a version must stay as it was; a profile
that is no longer needed is archived beside its versions.
Locks: new tables only. Undo: drops the profiles with all their versions.
"""

from leadflood.engine.db.migrations import run

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE icp_profile (
        id uuid PRIMARY KEY,
        profile_id uuid NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        name text NOT NULL CHECK (name <> ''),
        offer text NOT NULL,
        autopilot boolean NOT NULL,
        medium_milli integer NOT NULL,
        high_milli integer NOT NULL,
        definition text NOT NULL,
        content_hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        UNIQUE (profile_id, version),
        CHECK (medium_milli > 0 AND medium_milli <= high_milli AND high_milli <= 100000)
    )
    """,
    "CREATE INDEX icp_profile_name ON icp_profile (lower(name), id)",
    """
    CREATE TABLE qualification_rule (
        icp_id uuid NOT NULL REFERENCES icp_profile (id) ON DELETE CASCADE,
        position integer NOT NULL CHECK (position >= 0),
        kind text NOT NULL CHECK (kind IN ('WEIGHTED', 'HARD_FILTER')),
        field text NOT NULL,
        operator text NOT NULL CHECK (operator IN (
            'EQ', 'NEQ', 'IN', 'NOT_IN', 'GT', 'GTE', 'LT', 'LTE',
            'BETWEEN', 'CONTAINS', 'EXISTS', 'MATCHES'
        )),
        value text NOT NULL,
        weight double precision NOT NULL CHECK (weight >= 0),
        PRIMARY KEY (icp_id, position)
    )
    """,
    """
    CREATE TABLE icp_archive (
        profile_id uuid PRIMARY KEY,
        archived_at timestamptz NOT NULL,
        archived_by text NOT NULL
    )
    """,
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        RAISE EXCEPTION 'a row of % is never changed: write a new one', TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END
    $body$
    """,
    """
    CREATE TRIGGER icp_profile_is_immutable BEFORE UPDATE ON icp_profile
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER qualification_rule_is_immutable BEFORE UPDATE ON qualification_rule
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("icp_archive", "qualification_rule", "icp_profile"):
        run(f"DROP TABLE {table}")
    run("DROP FUNCTION refuse_change()")
