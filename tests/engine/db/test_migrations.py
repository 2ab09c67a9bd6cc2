import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio
import asyncpg
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint
from leadflood.engine.db import migrations
from leadflood.engine.db.alembic_runner import LOCK_KEY
from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.migration_status import MigrationStatus
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.server_checks import inspect
from leadflood.engine.package_files import package_folder
from tests.support.db import TestServer, cloned_database
from tests.support.machine_postgres import machine_postgres

Folder = Callable[..., Path]
STEP = '''"""Step {number}."""

from leadflood.engine.db.migrations import run

revision = "{number}"
down_revision = {before!r}


def upgrade() -> None:
    run("CREATE TABLE step_{number} ()")
    run({more!r})


def downgrade() -> None:
    run("DROP TABLE step_{number}")
'''


@pytest.fixture
async def empty(database_server: TestServer) -> AsyncIterator[Settings]:
    async with cloned_database(database_server, "template0") as settings:
        yield settings


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of small migrations: one more statement for each."""

    def make(*more: str, name: str = "migrations") -> Path:
        folder_path = tmp_path / name
        (folder_path / "versions").mkdir(parents=True)
        (folder_path / "env.py").write_bytes((package_folder("migrations") / "env.py").read_bytes())
        before = None
        for position, statement in enumerate(more, 1):
            number = f"{position:04}"
            text = STEP.format(number=number, before=before, more=statement)
            (folder_path / "versions" / f"{number}_step.py").write_text(text)
            before = number
        return folder_path

    return make


def start_migrating(settings: Settings, folder_path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 -- this interpreter, our module
        [sys.executable, "-m", "tests.support.migrate", settings.url, str(folder_path)]
    )


async def tables(settings: Settings) -> list[str]:
    async with own_connection(settings) as connection:
        rows = await connection.fetch(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
    return [row[0] for row in rows if row[0] != "alembic_version"]


async def test_the_whole_chain_goes_up_down_and_up_again(empty: Settings) -> None:
    applied = await migrations.upgrade(empty)
    created = await tables(empty)
    undone = await migrations.downgrade(empty, "base")
    remaining = await tables(empty)
    again = await migrations.upgrade(empty)

    assert applied.is_current
    assert applied == again
    assert undone.current is None
    assert remaining == []
    assert await tables(empty) == created != []


async def test_every_migration_undoes_its_own_step(empty: Settings) -> None:
    count = len((await migrations.status(empty)).pending)
    await migrations.upgrade(empty)
    everything = await tables(empty)

    for _ in range(count):
        await migrations.downgrade(empty, "-1")
    remaining = await tables(empty)
    await migrations.upgrade(empty)

    assert remaining == []
    assert await tables(empty) == everything


async def test_status_names_what_is_pending_and_changes_nothing(
    empty: Settings, folder: Folder
) -> None:
    folder_path = folder("SELECT 1", "SELECT 1")

    before = await migrations.status(empty, folder_path)
    await migrations.upgrade(empty, folder_path)
    after = await migrations.status(empty, folder_path)

    assert before == MigrationStatus(None, "0002", ("0001", "0002"))
    assert not before.is_current
    assert after == MigrationStatus("0002", "0002", ())


async def test_a_database_that_is_current_is_left_alone(empty: Settings, folder: Folder) -> None:
    """A start finds nothing to do without Alembic, and without waiting for who migrates."""
    folder_path = folder("SELECT 1", "SELECT 1")
    await migrations.upgrade(empty, folder_path)

    async with own_connection(empty) as other:
        await other.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        with anyio.fail_after(5):
            status = await migrations.upgrade(empty, folder_path)

    assert status == MigrationStatus("0002", "0002", ())


async def test_a_step_that_fails_is_undone_alone_and_runs_again_later(
    empty: Settings, folder: Folder
) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await migrations.upgrade(empty, folder("SELECT 1", "SELECT 1 / 0"))
    remaining = await tables(empty)
    applied = await migrations.upgrade(empty, folder("SELECT 1", "SELECT 1", name="mended"))

    assert remaining == ["step_0001"]
    assert applied.is_current
    assert await tables(empty) == ["step_0001", "step_0002"]


async def test_a_process_killed_while_migrating_resumes(empty: Settings, folder: Folder) -> None:
    folder_path = folder("SELECT 1", "SELECT pg_sleep(600)")
    killed = start_migrating(empty, folder_path)
    async with own_connection(empty) as watching:
        with anyio.fail_after(30):
            while not await watching.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            ):
                await checkpoint()
    killed.kill()
    await to_thread.run_sync(killed.wait)
    remaining = await tables(empty)
    applied = await migrations.upgrade(empty, folder("SELECT 1", "SELECT 1", name="mended"))

    assert remaining == ["step_0001"]
    assert applied.is_current


async def test_two_processes_at_once_migrate_once(empty: Settings, folder: Folder) -> None:
    folder_path = folder("SELECT pg_sleep(0.2)", "SELECT pg_sleep(0.2)")
    processes = [start_migrating(empty, folder_path) for _ in range(2)]

    codes = [await to_thread.run_sync(process.wait) for process in processes]

    assert codes == [0, 0]
    assert await tables(empty) == ["step_0001", "step_0002"]


async def test_a_database_newer_than_the_code_is_refused(empty: Settings, folder: Folder) -> None:
    await migrations.upgrade(empty, folder("SELECT 1", "SELECT 1"))

    with pytest.raises(DatabaseRefused, match=r"migration 0002.*newest.*0001") as refused:
        await migrations.upgrade(empty, folder("SELECT 1", name="older"))
    assert refused.value.error_code == "database.newer"


@pytest.mark.filterwarnings("ignore:Revision 0001:UserWarning")
async def test_a_chain_with_a_hole_is_refused(empty: Settings, folder: Folder) -> None:
    folder_path = folder("SELECT 1", "SELECT 1")
    (folder_path / "versions" / "0001_step.py").unlink()

    with pytest.raises(DatabaseRefused, match="one chain"):
        await migrations.upgrade(empty, folder_path)


async def test_a_statement_may_hold_percent_signs_and_colons(
    empty: Settings, folder: Folder
) -> None:
    await migrations.upgrade(empty, folder("CREATE TABLE odd (a text DEFAULT '100%s :x %')"))

    async with own_connection(empty) as connection:
        await connection.execute("INSERT INTO odd DEFAULT VALUES")
        assert await connection.fetchval("SELECT a FROM odd") == "100%s :x %"


async def test_a_migration_does_not_wait_for_ever_on_a_locked_table(
    empty: Settings, folder: Folder
) -> None:
    await migrations.upgrade(empty, folder("SELECT 1"))
    impatient = Settings(url=empty.url, lock_timeout_seconds=0.1)
    folder_path = folder("SELECT 1", "ALTER TABLE step_0001 ADD a int", name="second")

    async with own_connection(empty) as holder, holder.transaction():
        await holder.execute("LOCK TABLE step_0001")
        with pytest.raises(Exception, match="lock timeout"):
            await migrations.upgrade(impatient, folder_path)

    assert (await migrations.upgrade(impatient, folder_path)).is_current


@pytest.fixture(scope="module")
def older() -> Iterator[str]:
    """The machine's own PostgreSQL, where it has one of the oldest version we support."""
    with machine_postgres(15) as url:
        if url is None:
            pytest.skip("this machine has no PostgreSQL 15 in /usr/lib/postgresql")
        yield url


async def test_the_chain_goes_up_down_and_up_on_the_oldest_server(older: str) -> None:
    settings = Settings(url=older)

    up = await migrations.upgrade(settings)
    down = await migrations.downgrade(settings, "base")
    again = await migrations.upgrade(settings)
    facts = await inspect(settings)

    assert up == again
    assert up.is_current
    assert down.current is None
    assert facts.version_number // 10_000 == 15
    assert not facts.obstacles()


async def test_a_url_nobody_answers_at_is_an_error_of_the_connection() -> None:
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await migrations.status(Settings(url="postgresql://x@127.0.0.1:1/x"))
