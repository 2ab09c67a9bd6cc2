"""Migrations: Alembic over one asyncpg connection, one transaction each, one process at a time.

A migration that is killed half way leaves nothing (its transaction is gone) and runs again at the
next start; a second process waits on a session advisory lock and finds the work done.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import asyncpg
import msgspec
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from anyio import to_thread
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.package_files import package_folder
from leadflood.engine.db.pool import Settings, session_settings
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)
LOCK_KEY = 0x1EAD_F100D
NEWEST = "heads"
CHECK_CLIENT = "1s"

# alembic keeps the running environment in a module: one migration at a time in a process
_ALEMBIC = threading.Lock()


class MigrationStatus(msgspec.Struct, frozen=True):
    """Where a database stands. `current` is None in an empty one."""

    current: str | None
    newest: str | None
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to do."""
        return not self.pending


def run(sql: str) -> None:
    """Run one statement in the current migration.

    The text goes to the driver as it is: no `:names`, no doubled `%`, one statement a call.
    """
    op.get_bind().exec_driver_sql(sql)


async def upgrade(settings: Settings, folder: Path | None = None) -> MigrationStatus:
    """Bring the database to the newest migration; harmless when it is there already.

    Waits: for another process that is migrating, and on table locks up to `lock_timeout_seconds`.
    Raises: DatabaseRefused when the database is newer than this code.
    """
    return await _in_own_loop(settings, folder, partial(_upgrade_with, revision=NEWEST))


async def downgrade(
    settings: Settings, revision: str, folder: Path | None = None
) -> MigrationStatus:
    """Take the database back to a migration (`0004`), by steps (`-1`), or to nothing (`base`)."""
    return await _in_own_loop(settings, folder, partial(_downgrade_with, revision=revision))


async def status(settings: Settings, folder: Path | None = None) -> MigrationStatus:
    """Return where the database stands, without changing it."""
    return await _in_own_loop(settings, folder, _read_status)


Work = Callable[[Config, Connection], MigrationStatus]


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


async def _in_own_loop(settings: Settings, folder: Path | None, work: Work) -> MigrationStatus:
    """Work in a thread with a loop of its own: alembic reads files and blocks while it runs."""
    config = Config()
    location = str(folder or await to_thread.run_sync(package_folder, "migrations"))
    config.set_main_option("script_location", location.replace("%", "%%"))
    return await to_thread.run_sync(_guarded, settings, partial(_with_config, config, work))


def _guarded(settings: Settings, work: Callable[[Connection], MigrationStatus]) -> MigrationStatus:
    with _ALEMBIC:
        try:
            return anyio.run(_with_locked_connection, settings, work)
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
    connection = await asyncpg.connect(
        settings.url,
        timeout=settings.connect_timeout_seconds,
        # a migration may work for long; only its waits on table locks are bounded
        server_settings=session_settings(settings)
        | {"statement_timeout": "0", "lock_timeout": "0"},
    )
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
