"""One embedded server a session, one migrated template, a clone of it for each test."""

import itertools
import os
import re
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
from leadflood.engine.db.cluster import Cluster
from leadflood.engine.db.embedded import EmbeddedServer, embedded_postgres
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.shipped import shipped

TEMPLATE = "template_migrated"
SESSION_PREFIX = "leadflood-session-"


class TestServer(msgspec.Struct, frozen=True):
    """The session's server and the numbers its clones get."""

    __test__ = False

    server: EmbeddedServer
    numbers: "itertools.count[int]"

    def settings(self, database: str) -> Settings:
        """Say how to use one of its databases; small waits, so that a stuck test ends."""
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
            Cluster(folder, durable=False).signal(signal.SIGQUIT)
            shutil.rmtree(folder.parent, ignore_errors=True)
        lock.close()


@contextmanager
def _server_in(folder: Path, portal: BlockingPortal) -> Iterator[EmbeddedServer]:
    opened = embedded_postgres(folder / "data", SystemClock(), durable=False)
    with portal.wrap_async_context_manager(opened) as server:
        yield server


def open_folder(prefix: str = "leadflood-tests-") -> Path:
    """Make a temporary folder that the server's user may enter when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


async def make_template(server: TestServer) -> None:
    """Make the migrated database that all clones are copied from."""
    await _administer(server, f"CREATE DATABASE {TEMPLATE}")
    await upgrade_what_exists(server.settings(TEMPLATE))


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
    """Open a pool on a clone."""
    async with cloned_database(server) as settings, open_database(settings) as database:
        yield database


async def upgrade_what_exists(settings: Settings) -> None:
    """Migrate with the files that are there, linked in the order of their numbers.

    TODO(root): for the days in which several migrations are written at once; then `upgrade` alone.
    """
    whole = shipped("migrations")
    files = sorted((whole / "versions").glob("[0-9]*.py"))
    with tempfile.TemporaryDirectory(prefix="leadflood-migrations-") as folder:
        while True:
            _link_up(whole, files, Path(folder))
            try:
                await migrations.upgrade(settings, Path(folder))
            except Exception as error:  # noqa: BLE001 -- somebody's file is half written
                at = (await migrations.status(settings, Path(folder))).current
                broken = next(file for file in files if file.name[:4] > (at or ""))
                print(f"\nmigration {broken.name} left out: {error!r:.600}")  # noqa: T201
                files.remove(broken)
            else:
                return


def _link_up(whole: Path, files: list[Path], folder: Path) -> None:
    shutil.rmtree(folder / "versions", ignore_errors=True)
    (folder / "versions").mkdir()
    for name in ("env.py", "script.py.mako"):
        shutil.copy(whole / name, folder / name)
    before = "None"
    for file in files:
        text = re.sub(
            r"^(down_revision\b[^=]*=).*$", rf"\1 {before}", file.read_text(), flags=re.MULTILINE
        )
        (folder / "versions" / file.name).write_text(text)
        before = f'"{file.name[:4]}"'


async def _administer(server: TestServer, statement: str) -> None:
    connection = await asyncpg.connect(server.server.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
