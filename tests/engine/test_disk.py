"""Little room on the disk: what stops, and who is at fault."""

import errno
from pathlib import Path

import asyncpg
import msgspec
import pytest
from anyio import to_thread
from leadflood.engine.disk import (
    DiskLevel,
    DiskLow,
    DiskWatch,
    Settings,
    give_up_reserve,
    is_full,
)
from leadflood.engine.queue.outcome import Snooze
from leadflood.engine.queue.worker_pool import outcome_of
from tests.support.engine import QUICK_SETTINGS, EngineBench, ThingRequested, wait_until

PLENTY = 10**16


def a_watch(folder: Path, **over: int) -> DiskWatch:
    return DiskWatch(folder, msgspec.structs.replace(Settings(reserve_bytes=4096), **over))


def list_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.iterdir()]


async def test_room_is_kept_in_reserve_and_given_up_once(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, low_bytes=0, stop_bytes=0)

    assert await watch.look() is DiskLevel.ROOM

    watch.require_room()
    assert await to_thread.run_sync(list_sizes, tmp_path) == [4096]
    assert await to_thread.run_sync(give_up_reserve, tmp_path)
    assert not await to_thread.run_sync(give_up_reserve, tmp_path)


async def test_with_little_room_nothing_new_is_begun_and_no_reserve_taken(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, low_bytes=PLENTY, stop_bytes=0)

    assert await watch.look() is DiskLevel.LOW

    assert not watch.stop_reason()
    assert not await to_thread.run_sync(list_sizes, tmp_path)
    with pytest.raises(DiskLow, match="MB left: make room"):
        watch.require_room()


async def test_with_hardly_any_room_nothing_is_claimed_or_sent_until_there_is_some(
    bench: EngineBench, tmp_path: Path
) -> None:
    watch = a_watch(tmp_path, low_bytes=PLENTY, stop_bytes=PLENTY, look_seconds=0)
    await watch.look()
    engine = await bench.run(settings=QUICK_SETTINGS, disk=watch)
    await engine.switches.refresh()

    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)])
        assert "MB left" in str(await engine.find_obstacle(publication.tx))
    assert all(runner.is_paused for runner in engine.runners.values())
    assert any("MB left" in reason for reason in engine.why_not_ready())

    watch._settings = Settings(low_bytes=0, stop_bytes=0, reserve_bytes=0)
    await wait_until(lambda: not any(runner.is_paused for runner in engine.runners.values()))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "no space"), asyncpg.DiskFullError("no space")],
    ids=["file", "server"],
)
def test_a_full_disk_is_no_failure_of_a_job(error: Exception) -> None:
    wrapped = RuntimeError("it could not be written")
    wrapped.__cause__ = error

    assert is_full(error)
    assert is_full(ExceptionGroup("some", [error]))
    assert isinstance(outcome_of(error), Snooze)
    assert isinstance(outcome_of(wrapped), Snooze)
