"""Migrations: one transaction each, one process at a time.

A migration that is killed half way leaves nothing (its transaction is gone) and runs again at the
next start; a second process waits on a session advisory lock and finds the work done.
"""

from pathlib import Path

import asyncpg
from anyio import to_thread

from leadflood.engine.db.migration_status import MigrationStatus
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.package_files import package_folder

SQL = load_queries(__file__)


def run(sql: str) -> None:
    """Run one statement in the current migration.

    The text goes to the driver as it is: no `:names`, no doubled `%`, one statement a call.
    """
    from alembic import op  # noqa: PLC0415 - see alembic_runner

    op.get_bind().exec_driver_sql(sql)


async def upgrade(settings: Settings, folder: Path | None = None) -> MigrationStatus:
    """Bring the database to the newest migration; harmless when it is there already.

    Waits: for another process that is migrating, and on table locks up to `lock_timeout_seconds`.
    Raises: DatabaseRefused when the database is newer than this code.
    """
    newest = await to_thread.run_sync(newest_revision, folder)
    if newest is not None and await _is_at(settings, newest):
        return MigrationStatus(newest, newest, ())
    return await to_thread.run_sync(_upgrade, settings, folder)


async def downgrade(
    settings: Settings, revision: str, folder: Path | None = None
) -> MigrationStatus:
    """Take the database back to a migration (`0004`), by steps (`-1`), or to nothing (`base`)."""
    return await to_thread.run_sync(_downgrade, settings, folder, revision)


async def status(settings: Settings, folder: Path | None = None) -> MigrationStatus:
    """Return where the database stands, without changing it."""
    return await to_thread.run_sync(_read_status, settings, folder)


def newest_revision(folder: Path | None = None) -> str | None:
    """Return the newest migration this leadflood brings; None: there is none. Reads a folder."""
    files = (Path(_location(folder)) / "versions").glob("[0-9]*_*.py")
    return max((file.name.partition("_")[0] for file in files), default=None)


async def find_revision(db: Reader) -> str | None:
    """Return the migration that the database stands at; None: at none."""
    revision: str | None = await db.fetch_value(SQL.find_revision)
    return revision


async def _is_at(settings: Settings, revision: str) -> bool:
    """Whether the database stands at a migration: most starts find nothing to do."""
    async with own_connection(settings) as connection:
        try:
            return await find_revision(Tx(connection)) == revision
        except asyncpg.UndefinedTableError:
            return False


# In a thread each: alembic is slow to import, reads files, and blocks while it runs.


def _upgrade(settings: Settings, folder: Path | None) -> MigrationStatus:
    from leadflood.engine.db import alembic_runner  # noqa: PLC0415 - see there

    return alembic_runner.upgrade(settings, _location(folder))


def _downgrade(settings: Settings, folder: Path | None, revision: str) -> MigrationStatus:
    from leadflood.engine.db import alembic_runner  # noqa: PLC0415 - see there

    return alembic_runner.downgrade(settings, _location(folder), revision)


def _read_status(settings: Settings, folder: Path | None) -> MigrationStatus:
    from leadflood.engine.db import alembic_runner  # noqa: PLC0415 - see there

    return alembic_runner.read_status(settings, _location(folder))


def _location(folder: Path | None) -> str:
    return str(folder or package_folder("migrations"))
