"""The bounded channel between stages: a cache of claims, about a second's worth of work."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

LEAST_SLOTS = 32
MOST_SLOTS = 20_000


def _never() -> bool:
    return False


def _do_nothing() -> None:
    return


class JobChannel(Generic[ItemT]):
    """Claims waiting for a worker of one stage.

    A slot is reserved before the row is inserted as claimed, and used or released after COMMIT,
    so that no claim is ever without a place. While the stage has a backlog in Postgres, hand-offs
    may take at most half of the slots: what waits longer must not starve.

    `is_behind` is whether the stage must settle before it takes more; `on_unserved` is called when
    claims come while no worker waits for one.
    """

    def __init__(self, concurrency: int) -> None:
        self._least = max(LEAST_SLOTS, concurrency)
        self.capacity = self._least
        self.jobs: deque[ItemT] = deque()
        self.reserved = 0
        self.has_backlog = False
        self.is_open = True
        self.is_behind: Callable[[], bool] = _never
        self.on_unserved: Callable[[], None] = _do_nothing
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def __len__(self) -> int:
        return len(self.jobs)

    def free_slots(self) -> int:
        """Return how many claims could be taken now."""
        return self.capacity - len(self.jobs) - self.reserved

    def reserve_for_handoff(self, requested: int) -> int:
        """Reserve at most so many slots without waiting; 0 when closed, paused, behind or full."""
        if not self.is_open or self.is_behind():
            return 0
        limit = self.capacity // 2 if self.has_backlog else self.capacity
        granted = max(0, min(requested, limit - len(self.jobs) - self.reserved))
        self.reserved += granted
        self._note_room()
        return granted

    def reserve(self, requested: int) -> int:
        """Reserve at most so many slots for claims from the database."""
        granted = max(0, min(requested, self.free_slots()))
        self.reserved += granted
        self._note_room()
        return granted

    def release(self, slots: int) -> None:
        """Release reserved slots unused."""
        self.reserved -= slots
        self._note_room()

    def push(self, jobs: Sequence[ItemT], reserved: int) -> None:
        """Put claims into their reserved slots and wake workers."""
        self.reserved -= reserved
        self.jobs.extend(jobs)
        self._note_room()
        if jobs and not self.wake(len(jobs)):
            self.on_unserved()

    def wake(self, count: int) -> int:
        """Wake up to `count` waiting workers; return how many were."""
        waiters, woken = self._waiters, 0
        while woken < count and waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                woken += 1
        return woken

    async def wait_for_jobs(self) -> None:
        """Wait until there may be something; cancelling leaves the channel as it was."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.wake(1)
            raise

    def take(self) -> ItemT:
        """Take the next claim; IndexError when there is none."""
        job = self.jobs.popleft()
        if not self.has_room.is_set() and self.free_slots() * 2 >= self.capacity:
            self.has_room.set()
        return job

    def take_batch(self, limit: int) -> list[ItemT]:
        """Take up to `limit` claims."""
        batch = [self.jobs.popleft() for _ in range(min(limit, len(self.jobs)))]
        self._note_room()
        return batch

    def drain(self) -> list[ItemT]:
        """Take everything: at shutdown, to give it back."""
        left = list(self.jobs)
        self.jobs.clear()
        self._note_room()
        return left

    def resize(self, settled_per_second: float) -> None:
        """Hold about a second's worth, at least the concurrency."""
        self.capacity = int(min(MOST_SLOTS, max(self._least, settled_per_second)))
        self._note_room()

    def _note_room(self) -> None:
        if self.free_slots() * 2 >= self.capacity:
            self.has_room.set()
        else:
            self.has_room.clear()
