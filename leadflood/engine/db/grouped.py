"""Concurrent requests share a statement or a transaction, and none waits for company.

Idle, a request goes alone at once; while its batch is under way the others collect and go
together. What is wrong with one is told to that one: a batch that fails is taken apart.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Generic, TypeVar

import anyio
import msgspec

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.group import NotRunning
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import Bug, Transient

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

_NOBODYS_FAULT = ("08", "25006", "53", "57P0")
"""SQLSTATE beginnings that say nothing about the items: each is told so, and may come again."""


class Again(Enum):
    """As an answer: not now, put this item into the next batch."""

    AGAIN = "again"


AGAIN = Again.AGAIN
Told = Exception | Again


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How batches are made: `most` items in one, `lanes` batches at the same time.

    A batch that takes longer than `seconds` is given up. `apart` items of a failed one are tried
    at the same time. Behind a batch of several its lane waits `pause_ratio` of the time it took:
    who was answered with it asks again together. Whoever comes alone waits for nobody.
    """

    most: int = 64
    lanes: int = 2
    seconds: float = 60.0
    apart: int = 4
    pause_ratio: float = 0.0


DEFAULTS = Settings()


class _Waiting(Generic[ItemT, AnswerT]):
    __slots__ = ("answer", "item")

    def __init__(self, item: ItemT, answer: "asyncio.Future[AnswerT]") -> None:
        self.item = item
        self.answer = answer


class Grouped(Generic[ItemT, AnswerT]):
    """Asks `do(items)` for all that wait; it answers in their order.

    An exception as an answer is raised to that caller, `AGAIN` puts its item into the next batch:
    for one that depends on another of this batch. An exception out of `do` says that nothing
    happened: where it may be an item's fault each is tried alone.
    """

    def __init__(
        self,
        do: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT | Told]]],
        settings: Settings = DEFAULTS,
    ) -> None:
        self._do = do
        self._settings = settings
        self._queue: deque[_Waiting[ItemT, AnswerT]] = deque()
        self._has_work = asyncio.Event()
        self._is_open = False
        self.batches = 0
        self.items = 0

    async def ask(self, item: ItemT) -> AnswerT:
        """Put an item into the next batch and wait for its answer.

        Waits: for the batch, as long as the caller has time. Cancelled before the batch began, the
        item is left out; cancelled later it is done all the same. Raises: NotRunning; what `do`
        answered or raised for this item.
        """
        if not self._is_open:
            raise NotRunning("the process is starting or stopping: ask again in a moment")
        waiting: _Waiting[ItemT, AnswerT] = _Waiting(
            item, asyncio.get_running_loop().create_future()
        )
        self._queue.append(waiting)
        self._has_work.set()
        return await waiting.answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Grouped[ItemT, AnswerT]"]:
        """Work while the block runs; at its end nobody may ask, and who waits is answered first."""
        async with anyio.create_task_group() as group:
            for _ in range(self._settings.lanes):
                group.start_soon(self._work)
            self._is_open = True
            try:
                yield self
            finally:
                self._is_open = False
                self._has_work.set()

    async def _work(self) -> None:
        """Be one lane. Its end is told by `running`, so that no batch is cut in the middle."""
        with anyio.CancelScope(shield=True):
            while self._is_open or self._queue:
                await self._has_work.wait()
                if batch := self._take():
                    began = REAL_TIME.monotonic()
                    await self._answer(batch)
                    if self._settings.pause_ratio and len(batch) > 1:
                        took = REAL_TIME.monotonic() - began
                        await REAL_TIME.sleep(took * self._settings.pause_ratio)

    def _take(self) -> list[_Waiting[ItemT, AnswerT]]:
        queue, batch = self._queue, list[_Waiting[ItemT, AnswerT]]()
        while queue and len(batch) < self._settings.most:
            waiting = queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        if not queue and self._is_open:
            self._has_work.clear()
        return batch

    async def _answer(self, batch: list[_Waiting[ItemT, AnswerT]]) -> None:
        try:
            answers = await self._attempt(batch)
        except Exception as error:  # noqa: BLE001 - sorted into: everybody's, or one item's
            if len(batch) == 1 or _is_nobodys_fault(error):
                _tell(batch, [_readable(error)] * len(batch))
            else:
                await self._take_apart(batch)
            return
        again = _tell(batch, answers)
        if again:
            self._queue.extendleft(reversed(again))
            self._has_work.set()

    async def _attempt(
        self, batch: list[_Waiting[ItemT, AnswerT]]
    ) -> Sequence[AnswerT | Exception | Again]:
        with anyio.fail_after(self._settings.seconds):
            answers = await self._do([waiting.item for waiting in batch])
        self.batches += 1
        self.items += len(batch)
        if len(answers) != len(batch):
            raise Bug(f"a batch gave {len(answers)} answers for {len(batch)} items")
        if all(answer is AGAIN for answer in answers):
            raise Bug("a batch answered none of its items")
        return answers

    async def _take_apart(self, batch: list[_Waiting[ItemT, AnswerT]]) -> None:
        """Try each alone, a few side by side: one that hangs at a lock holds up nobody else."""
        room = anyio.CapacityLimiter(self._settings.apart)

        async def alone(waiting: _Waiting[ItemT, AnswerT]) -> None:
            async with room:
                if not waiting.answer.done():
                    await self._answer([waiting])

        async with anyio.create_task_group() as group:
            for waiting in batch:
                group.start_soon(alone, waiting)


def _tell(
    batch: Sequence[_Waiting[ItemT, AnswerT]], answers: Sequence[AnswerT | Told]
) -> list[_Waiting[ItemT, AnswerT]]:
    """Tell each its answer; give back those that go again."""
    again = []
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Again):
            again.append(waiting)
        elif isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)
    return again


def _is_nobodys_fault(error: Exception) -> bool:
    state = sqlstate_of(error)
    return isinstance(error, TimeoutError) or (
        state is not None and state.startswith(_NOBODYS_FAULT)
    )


def _readable(error: Exception) -> Exception:
    """Say of a batch that took too long, or found no connection, what its caller can do."""
    if not isinstance(error, TimeoutError):
        return error
    told = Transient("the database had no time for this: ask again in a moment")
    told.__cause__ = error
    return told
