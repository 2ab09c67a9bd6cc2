"""File locks: taken, kept, taken again, and what having no descriptor left means."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.filelock import FileLock, held_alone
from leadflood.engine.open_files import FilesExhausted
from tests.support.open_files import NONE, limited_files


async def test_a_lock_can_be_taken_again_when_nothing_more_can_be_opened(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    async with held_alone(lock, SystemClock()):
        assert not other.try_alone()

    with limited_files(NONE):
        async with held_alone(lock, SystemClock()):
            assert not other.try_alone()

    assert other.try_alone()
    lock.close()
    other.close()


def test_a_lock_that_cannot_be_opened_for_want_of_descriptors_is_tried_again(
    tmp_path: Path,
) -> None:
    with limited_files(NONE), pytest.raises(FilesExhausted):
        FileLock(tmp_path / "a.lock")


def test_a_file_lock_counts_each_holder(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = (FileLock(tmp_path / "lock") for _ in range(2))
        stack.callback(first.close)
        stack.callback(second.close)

        assert first.try_shared()
        assert second.try_shared()
        assert not second.try_alone()
        first.close()
        stack.pop_all()
        assert second.try_alone()
        second.close()


def test_a_lock_file_that_cannot_be_made_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefused, match="LEADFLOOD_DATA"):
        FileLock(tmp_path / "missing" / "lock")
