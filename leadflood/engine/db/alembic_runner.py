"""The Alembic runner: migrations over one asyncpg connection, in a thread with a loop of its own.

Only `migrations` imports it, in that thread and when there is something to do: Alembic and
SQLAlchemy take half a second of every start otherwise.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.migration_status import MigrationStatus
from leadflood.engine.db.pool import Settings, connect
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)
LOCK_KEY = 0x1EAD_F100D
NEWEST = "heads"
CHECK_CLIENT = "1s"

# alembic keeps the running environment in a module: one migration at a time in a process
_ALEMBIC = threading.Lock()

Work = Callable[[Config, Connection], MigrationStatus]


def upgrade(settings: Settings, location: str) -> MigrationStatus:
    """Bring the database to the newest migration. Blocks."""
    return _work(settings, location, partial(_upgrade_with, revision=NEWEST))


def downgrade(settings: Settings, location: str, revision: str) -> MigrationStatus:
    """Take the database back to a migration. Blocks."""
    return _work(settings, location, partial(_downgrade_with, revision=revision))


def read_status(settings: Settings, location: str) -> MigrationStatus:
    """Return where the database stands. Blocks."""
    return _work(settings, location, _read_status)


def _upgrade_with(config: Config, connection: Connection, *, revision: str) -> MigrationStatus:
    _read_status(config, connection)
    command.upgrade(config, revision)
    return _read_status(config, connection)


def _downgrade_with(config: Config, connection: Connection, *, revision: str) -> MigrationStatus:
    _read_status(config, connection)
    command.downgrade(config, revision)
    return _read_status(config, connection)


def _read_status(config: Config, connection: Connection) -> MigrationStatus:
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()  # alembic must find the connection outside any transaction
    revisions = [script.revision for script in scripts.walk_revisions()]
    newest = revisions[0] if revisions else None
    if current is not None and current not in revisions:
        raise DatabaseRefused(
            f"the database is at migration {current}, but the newest that this leadflood knows is"
            f" {newest}: start the newer leadflood that migrated it, or restore an older backup",
            code="database.newer",
        )
    done = revisions.index(current) if current is not None else len(revisions)
    return MigrationStatus(current, newest, tuple(reversed(revisions[:done])))


def _work(settings: Settings, location: str, work: Work) -> MigrationStatus:
    config = Config()
    config.set_main_option("script_location", location.replace("%", "%%"))
    with _ALEMBIC:
        try:
            return anyio.run(_with_locked_connection, settings, partial(_with_config, config, work))
        except (KeyError, CommandError) as error:
            raise DatabaseRefused(
                f"the migrations do not form one chain, or the revision asked for is not among them"
                f" ({error}): each file's down_revision must be the number before",
                code="database.migrations",
            ) from error


def _with_config(config: Config, work: Work, connection: Connection) -> MigrationStatus:
    config.attributes["connection"] = connection
    return work(config, connection)


async def _with_locked_connection(
    settings: Settings, work: Callable[[Connection], MigrationStatus]
) -> MigrationStatus:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=partial(_connect, settings), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def _connect(settings: Settings) -> asyncpg.Connection:
    """Connect and take the lock; it ends with the connection."""
    # a migration may work for long; only its waits on table locks are bounded
    connection = await connect(settings, statement_timeout="0", lock_timeout="0")
    session = Tx(connection)
    with suppress(asyncpg.InvalidParameterValueError):  # a server whose system cannot tell
        # else a statement of a killed process would go on, and hold the lock, to its end
        await session.execute(
            SQL.set_session, name="client_connection_check_interval", value=CHECK_CLIENT
        )
    await session.execute(SQL.lock_migrations, key=LOCK_KEY)
    lock_timeout_ms = str(int(settings.lock_timeout_seconds * 1000))
    await session.execute(SQL.set_session, name="lock_timeout", value=lock_timeout_ms)
    return connection
