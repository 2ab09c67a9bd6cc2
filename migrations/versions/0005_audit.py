"""Create the record of privileged acts, which nobody can change.

Why: who gave which rights, deleted or exported what, must be known afterwards, also where the
product's own connection is misused: a trigger refuses to change, delete or truncate.
Locks: new tables only. Undo: drops the table, with every record in it.
"""

from leadflood.engine.db.migrations import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE audit_event (
        id uuid PRIMARY KEY,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'key', 'operator', 'nobody')),
        actor_id uuid,
        actor text NOT NULL,
        address text NOT NULL,
        request_id text NOT NULL,
        action text NOT NULL CHECK (action <> ''),
        subject_kind text NOT NULL CHECK (subject_kind <> ''),
        subject_id text,
        detail text NOT NULL
    )
    """,
    "CREATE INDEX audit_event_actor ON audit_event (actor_id, id)",
    "CREATE INDEX audit_event_subject ON audit_event (subject_kind, subject_id, id)",
    "CREATE INDEX audit_event_action ON audit_event (action, id)",
    "CREATE INDEX audit_event_subject_id ON audit_event (subject_id, id)",
    "CREATE INDEX audit_event_operator ON audit_event (id) WHERE actor_id IS NULL",
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''audit_event is kept as it was written''; END'
    """,
    """
    CREATE TRIGGER audit_event_is_kept BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_event_is_not_emptied BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    run("DROP TABLE audit_event")
    run("DROP FUNCTION refuse_audit_change()")
