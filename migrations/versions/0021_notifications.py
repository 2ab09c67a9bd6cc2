"""Create notifications, who has read which, and the cursor in the event log.

Why: a run that ended, sending that is held, jobs that died must be told without being asked for.
A notification's key makes it one, whichever node notices; the cursor in the event log moves in
the transaction that writes what was found there.
Locks: new tables only. Undo: drops the tables, with every notification in them.
"""

from leadflood.engine.db.migrations import run

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE notification (
        id uuid PRIMARY KEY,
        key text NOT NULL UNIQUE CHECK (key <> ''),
        kind text NOT NULL CHECK (kind <> ''),
        permission text NOT NULL CHECK (permission <> ''),
        user_id uuid,
        title text NOT NULL CHECK (title <> ''),
        body text NOT NULL,
        subject_kind text,
        subject_id text,
        created_at timestamptz NOT NULL,
        CONSTRAINT notification_has_whole_subject CHECK (
            (subject_kind IS NULL) = (subject_id IS NULL))
    )
    """,
    "COMMENT ON COLUMN notification.user_id IS 'null: everybody with the permission'",
    """
    CREATE TABLE notification_read (
        reader text NOT NULL,
        notification_id uuid NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
        read_at timestamptz NOT NULL,
        PRIMARY KEY (reader, notification_id)
    )
    """,
    "CREATE INDEX notification_read_of ON notification_read (notification_id)",
    """
    CREATE TABLE notification_seen (
        reader text PRIMARY KEY,
        up_to uuid NOT NULL,
        seen_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON COLUMN notification_seen.up_to IS 'all up to this one are read'",
    """
    CREATE TABLE notification_watch (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        era integer NOT NULL,
        xid xid8 NOT NULL,
        event_id uuid NOT NULL,
        looked_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        run(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("notification_watch", "notification_seen", "notification_read", "notification"):
        run(f"DROP TABLE {table}")
