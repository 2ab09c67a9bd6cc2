import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME

from tests.support.chaos import (
    PATIENCE_SECONDS,
    ChaosField,
    Child,
    Nursery,
    make_report,
    open_chaos_field,
)
from tests.support.cutter import Cutter, cutting_proxy
from tests.support.db import open_folder
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

PLAN = Plan(
    times=2,
    people_count=4_000,
    latency_seconds={"apollo": 0.05, "openai": 0.05, "trengo": 0.05, "smtp": 0.02},
)
FULL = """
    CREATE FUNCTION no_room_in_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file: no space left on device' USING ERRCODE = '53100';
    END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION no_room_in_{table}();
"""


@asynccontextmanager
async def a_field(nursery: Nursery, url: str, folder: Path) -> AsyncIterator[ChaosField]:
    async with open_chaos_field(nursery, url, folder, PLAN) as field:
        await field.start_run(discovered=45, phones=5)
        yield field


async def statement(url: str, text: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


async def finish_unharmed(field: ChaosField, worker: Child) -> None:
    """The worker lives on, and nothing is even in doubt: it was never killed."""
    await worker.hear("ended")
    reckoning = await make_report(field)
    assert reckoning.problems == ()
    assert reckoning.leads >= 40
    assert reckoning.intents.keys() <= {"accepted", "cancelled"}  # of leads that were merged
    assert reckoning.intents["accepted"] >= 30
    assert reckoning.lines.keys() <= {"settled", "released"}


@pytest.fixture
def server_folder() -> Iterator[Path]:
    folder = open_folder("leadflood-chaos-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def through_cutter(database_url: str) -> Iterator[tuple[str, Cutter]]:
    with cutting_proxy(database_url, every=9) as proxy:
        yield proxy


async def postmaster_of(data_folder: Path) -> int:
    """Find the server's process; it may be on its way up."""
    with anyio.fail_after(30):
        while not (pid := _read_pid(data_folder)):
            await REAL_TIME.sleep(0.05)
    return pid


def _read_pid(data_folder: Path) -> int:
    words = [
        word for file in data_folder.rglob("postmaster.pid") for word in file.read_text().split()
    ]
    return int(words[0]) if words else 0


async def test_a_postmaster_killed_under_load_comes_back_and_nothing_is_lost(
    nursery: Nursery, server_folder: Path
) -> None:
    async with a_field(nursery, "", server_folder) as field:
        worker = await field.worker(database_url="")
        await worker.hear("ready")

        for _ in range(2):
            await REAL_TIME.sleep(1.0)
            os.kill(await postmaster_of(server_folder / "data"), signal.SIGKILL)

        await finish_unharmed(field, worker)
        assert "it again" in worker.log() or "delayed" in worker.log()


async def test_connections_terminated_again_and_again_lose_nothing(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with a_field(nursery, database_url, tmp_path) as field:
        worker = await field.worker()
        await worker.hear("ready")

        for _ in range(6):
            await REAL_TIME.sleep(0.4)
            await statement(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )

        await finish_unharmed(field, worker)


async def test_a_lost_reply_to_commit_does_nothing_twice(
    nursery: Nursery, database_url: str, through_cutter: tuple[str, Cutter], tmp_path: Path
) -> None:
    url, cutter = through_cutter
    async with a_field(nursery, database_url, tmp_path) as field:
        worker = await field.worker(database_url=url)

        await finish_unharmed(field, worker)

        assert cutter.cuts >= 10


async def test_two_connections_are_enough(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with a_field(nursery, database_url, tmp_path) as field:
        worker = await field.worker(pool_size=2)

        await finish_unharmed(field, worker)


async def test_a_full_disk_stops_the_stages_with_a_reason_and_fails_no_job(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with a_field(nursery, database_url, tmp_path) as field:
        worker = await field.worker()
        await worker.hear("ready")
        await statement(database_url, FULL.format(table="score_prediction"))
        with anyio.fail_after(PATIENCE_SECONDS):
            while not is_stalled(worker, "scoring.compute"):
                await REAL_TIME.sleep(0.1)
        await statement(database_url, FULL.format(table="provider_call"))
        await REAL_TIME.sleep(1.8)
        for table in ("score_prediction", "provider_call"):
            await statement(database_url, f"DROP TRIGGER full_disk ON {table}")

        await finish_unharmed(field, worker)


def is_stalled(worker: Child, stage: str) -> bool:
    """Whether a stage has said that it cannot commit for want of room."""
    words = ("engine.stage.stalled", stage, "no space left")
    return any(all(word in line for word in words) for line in worker.log().splitlines())
