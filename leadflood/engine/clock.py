"""The one clock. Everything that asks for the time or waits gets it as an argument."""

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

_MICROS = 1_000_000


class Clock(Protocol):
    """Instants are UTC-aware; durations are seconds."""

    kind: Literal["system", "manual"]

    def now(self) -> datetime:
        """Return the instant."""

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean something."""

    async def sleep(self, seconds: float) -> None:
        """Wait. Cancelling leaves nothing behind."""


class SystemClock:
    """The machine's own time."""

    kind: Literal["system", "manual"] = "system"

    def now(self) -> datetime:
        """Return the instant."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the loop-independent monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)


REAL_TIME = SystemClock()
"""For what is real even in a simulation: pauses of a broken database, beats, sockets."""


class ManualClock:
    """Time that moves only when told: for tests and simulations, on one node."""

    kind: Literal["system", "manual"] = "manual"

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)) -> None:
        self._start = start
        self._passed_micros = 0  # whole ones, so that a jump to a sleeper's moment reaches it
        self._order = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the instant."""
        return self._start + timedelta(microseconds=self._passed_micros)

    def monotonic(self) -> float:
        """Return the seconds moved so far."""
        return self._passed_micros / _MICROS

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody moves the clock far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        due_micros = self._passed_micros + max(1, round(seconds * _MICROS))
        heapq.heappush(self._sleepers, (due_micros, self._order, waiter))
        await waiter

    def next_due_seconds(self) -> float | None:
        """Return how far away the next sleeper is; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return None
        return (self._sleepers[0][0] - self._passed_micros) / _MICROS

    def advance(self, seconds: float) -> None:
        """Move the time and wake everyone whose moment has come."""
        self._passed_micros += round(seconds * _MICROS)
        while self._sleepers and self._sleepers[0][0] <= self._passed_micros:
            waiter = heapq.heappop(self._sleepers)[2]
            if not waiter.done():
                waiter.set_result(None)
