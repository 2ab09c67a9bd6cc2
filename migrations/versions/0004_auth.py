"""Create users, their sessions, keys and one-time links.

Why: nobody may do what their role does not allow, on any node, after any restart: who somebody is
and which attempts failed is known to the database, secrets only as hashes or sealed.
Locks: new tables only.
Undo: drops them; everybody must be invited again, and the next start prints a claim link.
"""

from leadflood.engine.db.migrations import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE master_secret (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        proof bytea NOT NULL CHECK (octet_length(proof) = 32),
        proved_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE app_user (
        id uuid PRIMARY KEY,
        version integer NOT NULL,
        email text NOT NULL UNIQUE CHECK (email <> ''),
        name text NOT NULL,
        role text NOT NULL CHECK (role IN ('ADMIN', 'MANAGER', 'SALES_REP', 'ANALYST', 'VIEWER')),
        state text NOT NULL CHECK (state IN ('invited', 'active', 'disabled')),
        password_hash text,
        password_changed_at timestamptz,
        totp_secret bytea,
        totp_confirmed_at timestamptz,
        totp_last_step bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        last_login_at timestamptz,
        CHECK (state <> 'active' OR password_hash IS NOT NULL),
        CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL)
    )
    """,
    """
    CREATE TABLE recovery_code (
        user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
        hash bytea NOT NULL,
        PRIMARY KEY (user_id, hash)
    )
    """,
    """
    CREATE TABLE session (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        proved_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        revoked_reason text,
        address text NOT NULL,
        user_agent text NOT NULL,
        token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
        generation integer NOT NULL,
        CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
    )
    """,
    "CREATE INDEX session_of_user ON session (user_id, id)",
    "CREATE INDEX session_age ON session (expires_at)",
    """
    CREATE TABLE api_key (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
        name text NOT NULL,
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX api_key_of_user ON api_key (user_id, id)",
    "CREATE INDEX api_key_age ON api_key (created_at)",
    """
    CREATE TABLE one_time_link (
        hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        kind text NOT NULL CHECK (kind IN ('claim', 'invitation', 'reset')),
        user_id uuid REFERENCES app_user ON DELETE CASCADE,
        removes_totp boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        CHECK ((kind = 'claim') = (user_id IS NULL))
    )
    """,
    "CREATE INDEX one_time_link_of_user ON one_time_link (user_id)",
    """
    CREATE TABLE signing_key (
        kid text PRIMARY KEY,
        created_at timestamptz NOT NULL,
        retired_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX signing_key_in_force ON signing_key ((true)) WHERE retired_at IS NULL",
    """
    CREATE TABLE login_attempt (
        id uuid PRIMARY KEY,
        at timestamptz NOT NULL,
        account bytea NOT NULL,
        origin text NOT NULL
    )
    """,
    "CREATE INDEX login_attempt_of_account ON login_attempt (account, at)",
    "CREATE INDEX login_attempt_from_origin ON login_attempt (origin, at)",
    "CREATE INDEX login_attempt_age ON login_attempt (at)",
    """
    CREATE TABLE known_address (
        user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
        address text NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, address)
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
        "known_address",
        "login_attempt",
        "signing_key",
        "one_time_link",
        "api_key",
        "session",
        "recovery_code",
        "app_user",
        "master_secret",
    ):
        run(f"DROP TABLE {table}")
