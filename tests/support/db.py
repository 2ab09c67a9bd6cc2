"""One embedded server a session, one migrated template, a clone of it for each test."""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal
from leadflood.engine.clock import SystemClock
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import EmbeddedServer, embedded_postgres
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.postgres_process import PostgresProcess

TEMPLATE = "template_migrated"
ROOM_BYTES = 4_000_000_000
SESSION_PREFIX = "leadflood-session-"


class TestServer(msgspec.Struct, frozen=True):
    """The session's server and the numbers its clones get."""

    __test__ = False

    server: EmbeddedServer
    numbers: "itertools.count[int]"

    def settings(self, database: str) -> Settings:
        """Return the settings of one of its databases; small waits, so that a stuck test ends."""
        return Settings(
            url=self.server.url_of(database),
            pool_size=10,
            lock_timeout_seconds=10.0,
            statement_timeout_seconds=30.0,
        )


@contextmanager
def running_server() -> Iterator[TestServer]:
    """Run a server without fsync for the whole session, in a loop and folder of its own."""
    folder = open_folder(SESSION_PREFIX)
    sweep_left_servers(folder)
    try:
        with start_blocking_portal() as portal, _server_in(folder, portal) as server:
            yield TestServer(server, itertools.count(1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_left_servers(ours: Path) -> None:
    """Stop the servers of test sessions that were killed a while ago: their lock is free."""
    youngest = ours.stat().st_mtime - 60
    for folder in ours.parent.glob(f"{SESSION_PREFIX}*/data"):
        if not (folder / "users.lock").exists() or folder.stat().st_mtime > youngest:
            continue
        lock = FileLock(folder / "users.lock")
        if lock.try_alone():
            PostgresProcess(folder, durable=False).signal(signal.SIGQUIT)
            shutil.rmtree(folder.parent, ignore_errors=True)
        lock.close()


@contextmanager
def _server_in(folder: Path, portal: BlockingPortal) -> Iterator[EmbeddedServer]:
    opened = embedded_postgres(folder / "data", SystemClock(), durable=False)
    with portal.wrap_async_context_manager(opened) as server:
        yield server


def open_folder(prefix: str = "leadflood-tests-") -> Path:
    """Make a temporary folder that the server's user may enter when the tests run as root.

    In memory where there is plenty: a shared disk makes the suite several times slower.
    """
    in_memory = Path("/dev/shm")  # noqa: S108 -- a folder of our own inside it
    roomy = in_memory.is_dir() and shutil.disk_usage(in_memory).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=in_memory if roomy else None))
    folder.chmod(0o711)
    return folder


async def make_template(server: TestServer) -> None:
    """Make the migrated database that all clones are copied from."""
    await _administer(server, f"CREATE DATABASE {TEMPLATE}")
    await migrations.upgrade(server.settings(TEMPLATE))


@asynccontextmanager
async def cloned_database(server: TestServer, template: str = TEMPLATE) -> AsyncIterator[Settings]:
    """Copy the template and drop the copy at the end, whoever is still connected."""
    name = f"clone_{os.getpid()}_{next(server.numbers)}"
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.settings(name)
    finally:
        await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def opened_clone(server: TestServer) -> AsyncIterator[Database]:
    """Open a pool on a clone: for a second database, or one that another fixture closes over."""
    async with cloned_database(server) as settings, open_database(settings) as database:
        yield database


async def _administer(server: TestServer, statement: str) -> None:
    connection = await asyncpg.connect(server.server.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
