"""A maintenance loop waits for a database that is away, and passes a bug on."""

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.queue.maintenance.loop import repeat


async def test_a_maintenance_loop_waits_for_a_database_that_is_away_without_spinning() -> None:
    calls: list[float] = []

    async def fail() -> None:
        calls.append(REAL_TIME.monotonic())
        raise asyncpg.CannotConnectNowError("starting up")

    with anyio.move_on_after(0.2):
        await repeat(0.0, fail, "timer")

    assert len(calls) == 1


async def test_a_bug_in_a_maintenance_loop_fails_its_actor() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await repeat(0.0, fail, "timer")
