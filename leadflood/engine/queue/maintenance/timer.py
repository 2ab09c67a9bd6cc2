"""The timer: makes scheduled jobs queued when they are due."""

import asyncio
from datetime import datetime

import anyio

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.queue.maintenance.loop import repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.wakeups import Wakeups

MAX_DUE = 1_000
LEAST_PAUSE_SECONDS, LOCKED_PAUSE_SECONDS = 0.001, 0.1
"""The pauses while what is due is locked by another: the first, and the longest."""


class Timer:
    """Queues due jobs. Sleeps until the next due time or a wake-up; polls as a safety net."""

    def __init__(self, db: Database, clock: Clock, wakeups: Wakeups, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._settings = settings
        self._pause_seconds = LEAST_PAUSE_SECONDS
        self._woken = asyncio.Event()
        wakeups.register_timer(self._woken.set)

    async def run(self) -> None:
        """Feed for ever."""
        await repeat(0.0, self._turn, "timer")

    async def _turn(self) -> None:
        self._woken.clear()
        rows = await self._db.fetch(SQL.wake_scheduled, now=self._clock.now(), limit=MAX_DUE)
        for stage in {row["stage"] for row in rows}:
            self._wakeups.wake(stage)
        if rows:
            self._pause_seconds = LEAST_PAUSE_SECONDS
            return
        due_at = await self._db.fetch_value(SQL.next_scheduled_at)
        await self._wait_until(due_at)

    async def _wait_until(self, due_at: datetime | None) -> None:
        poll = self._settings.timer_poll_seconds
        with anyio.move_on_after(poll):
            if due_at is None:
                await self._woken.wait()
                return
            left = (due_at - self._clock.now()).total_seconds()
            async with anyio.create_task_group() as group:
                group.start_soon(self._sleep_then_cancel, left, group.cancel_scope)
                await self._woken.wait()
                group.cancel_scope.cancel()

    async def _sleep_then_cancel(self, seconds: float, scope: anyio.CancelScope) -> None:
        """Sleep until the next is due; what is due already, and locked by another, is let be."""
        if seconds > 0:
            await self._clock.sleep(max(seconds, LEAST_PAUSE_SECONDS))
        else:
            await REAL_TIME.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LOCKED_PAUSE_SECONDS)
        scope.cancel()
