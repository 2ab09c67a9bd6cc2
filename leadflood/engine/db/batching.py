"""Batching: concurrent requests share one statement or one transaction, and none waits for more.

Idle, a request is answered alone and at once; while a batch is under way the next ones collect
and are answered together. An item that makes its batch fail is found, and fails alone.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Generic, TypeVar

import anyio
import msgspec

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import Bug, Transient

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

_NO_ITEM_AT_FAULT = ("08", "25006", "53", "57P0")
"""SQLSTATE prefixes that say nothing about the items: connection, read-only server, resources."""
_REPEATED = (*_NO_ITEM_AT_FAULT, "40")


class Redo(Enum):
    """As an answer: not now. REDO puts the item into the next batch, LATER into one after a pause.

    The pause is that of the policy's `repeat`, longer each time.
    """

    REDO = "redo"
    LATER = "later"


REDO = Redo.REDO
LATER = Redo.LATER
Answers = Sequence[AnswerT | Exception | Redo]
Handle = Callable[[Sequence[ItemT], bool], Awaitable[Answers[AnswerT]]]
"""Answers a batch in the order of its items.

An exception as an answer is raised to that caller alone. The flag marks a repeat: an earlier try of
these items may have been committed, its reply was lost, so what it did must be looked up first.
"""


class Repeat(msgspec.Struct, frozen=True):
    """How long a batch waits before it is repeated: twice as long each time, up to a cap."""

    base_seconds: float
    cap_seconds: float

    def draw_seconds(self, tries: int) -> float:
        """Draw the wait before the next try."""
        most: float = min(self.cap_seconds, self.base_seconds * 2.0 ** min(tries - 1, 10))
        return most * random.uniform(0.5, 1.0)  # noqa: S311 - spreads repeats, hides nothing


class BatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a batcher works.

    `max_items` in one batch.
    `lanes` batches are under way at the same time.
    `timeout_seconds` after which a batch is given up; None: never.
    `repeat` a batch whose connection was lost, with this backoff; None: its callers get the error.
    `alone_at_once` items of a failed batch are tried side by side, each alone; 0 halves the batch.
    `pause_ratio` of the time a batch of several took, its lane waits for those who come again.
    `flush_seconds` after the end of `running`, what is still waiting is refused; None: never.
    """

    max_items: int = 64
    lanes: int = 2
    timeout_seconds: float | None = 60.0
    repeat: Repeat | None = None
    alone_at_once: int = 4
    pause_ratio: float = 0.0
    flush_seconds: float | None = None


DEFAULTS = BatchPolicy()


class NotRunning(Transient):
    """Nobody runs the batcher: the process is starting or stopping; try again later."""

    code = "engine.group_stopped"


class _Waiting(Generic[ItemT, AnswerT]):
    """An item with the future that its caller waits for."""

    __slots__ = ("answer", "item", "put_off")

    def __init__(self, item: ItemT) -> None:
        self.item = item
        self.put_off = 0
        self.answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()

    def refuse(self, error: Exception) -> None:
        """Raise an error to the caller, if they still wait."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Batcher(Generic[ItemT, AnswerT]):
    """Answers what is submitted, a batch at a time; `run` or `running` must be at work.

    `batches` and `repeats` count what was done.
    """

    def __init__(
        self,
        handle: Handle[ItemT, AnswerT],
        policy: BatchPolicy = DEFAULTS,
        clock: Clock = REAL_TIME,
    ) -> None:
        self._handle = handle
        self._policy = policy
        self._clock = clock
        self._queue: deque[_Waiting[ItemT, AnswerT]] = deque()
        self._put_off = 0
        self._has_work = asyncio.Event()
        self._is_open = False
        self.batches = 0
        self.repeats = 0

    async def submit(self, item: ItemT) -> AnswerT:
        """Put an item into the next batch and wait for its answer.

        Waits: for the batch. Cancelled before the batch began, the item is left out; cancelled
        later it is handled all the same (shield the call to learn the answer).
        Raises: NotRunning; whatever was answered or raised for this item alone.
        """
        if not self._is_open:
            raise NotRunning("the process is starting or stopping: ask again in a moment")
        waiting = _Waiting[ItemT, AnswerT](item)
        self._queue.append(waiting)
        self._has_work.set()
        return await waiting.answer

    async def run(self) -> None:
        """Work until cancelled, as an actor; callers who still wait then get NotRunning."""
        self._is_open = True
        try:
            async with anyio.create_task_group() as lanes:
                for _ in range(self._policy.lanes):
                    lanes.start_soon(self._work)
        finally:
            self._is_open = False
            _refuse(self._queue)
            self._queue.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Batcher[ItemT, AnswerT]"]:
        """Work while the block runs; at its end new items are refused, waiting ones answered."""
        shield = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as owner:
            owner.start_soon(self._work_shielded, shield)
            self._is_open = True
            try:
                yield self
            finally:
                self._is_open = False
                self._has_work.set()
                if self._policy.flush_seconds is not None:
                    shield.deadline = anyio.current_time() + self._policy.flush_seconds

    async def _work_shielded(self, shield: anyio.CancelScope) -> None:
        """Be the lanes of `running`, which ends them, so that no batch is cut in the middle."""
        with shield:
            async with anyio.create_task_group() as lanes:
                for _ in range(self._policy.lanes):
                    lanes.start_soon(self._work)
        _refuse(self._queue)
        self._queue.clear()

    async def _work(self) -> None:
        """Be one lane."""
        while self._is_open or self._queue or self._put_off:
            await self._has_work.wait()
            if batch := self._take():
                await self._answer_or_refuse(batch)

    async def _answer_or_refuse(self, batch: list[_Waiting[ItemT, AnswerT]]) -> None:
        began = REAL_TIME.monotonic()
        try:
            await self._answer(batch)
        except BaseException:
            _refuse(batch)
            raise
        if self._policy.pause_ratio and len(batch) > 1:
            took_seconds = REAL_TIME.monotonic() - began
            await REAL_TIME.sleep(took_seconds * self._policy.pause_ratio)

    def _take(self) -> list[_Waiting[ItemT, AnswerT]]:
        """Take the next batch, without those whose caller has left."""
        queue, batch = self._queue, list[_Waiting[ItemT, AnswerT]]()
        while queue and len(batch) < self._policy.max_items:
            waiting = queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        if not queue and (self._is_open or self._put_off):
            self._has_work.clear()
        return batch

    async def _answer(
        self, batch: list[_Waiting[ItemT, AnswerT]], *, is_repeat: bool = False
    ) -> None:
        """Handle a batch, again and again while only the database is at fault."""
        tries = 0
        while True:
            try:
                answers = await self._attempt(batch, is_repeat=is_repeat)
            except Exception as error:  # noqa: BLE001 - sorted into: repeat, everybody's, one item's
                if self._policy.repeat is None or not _is_of(error, _REPEATED):
                    await self._after_failure(batch, error, is_repeat=is_repeat)
                    return
                tries += 1
                self.repeats += 1
                is_repeat = True
                await self._clock.sleep(self._policy.repeat.draw_seconds(tries))
            else:
                self._deliver(batch, answers)
                return

    async def _attempt(
        self, batch: list[_Waiting[ItemT, AnswerT]], *, is_repeat: bool
    ) -> Answers[AnswerT]:
        with anyio.fail_after(self._policy.timeout_seconds):
            answers = await self._handle([waiting.item for waiting in batch], is_repeat)
        self.batches += 1
        if len(answers) != len(batch):
            raise Bug(f"a batch gave {len(answers)} answers for {len(batch)} items")
        if all(answer is REDO for answer in answers):
            raise Bug("a batch answered none of its items")
        return answers

    async def _after_failure(
        self, batch: list[_Waiting[ItemT, AnswerT]], error: Exception, *, is_repeat: bool
    ) -> None:
        """Find the item at fault; where it is none's fault, all callers get the error."""
        if len(batch) == 1 or (self._policy.repeat is None and _is_of(error, _NO_ITEM_AT_FAULT)):
            for waiting in batch:
                waiting.refuse(_readable(error))
        elif self._policy.alone_at_once:
            await self._answer_each_alone(batch, is_repeat=is_repeat)
        else:
            middle = len(batch) // 2
            await self._answer(batch[:middle], is_repeat=is_repeat)
            await self._answer(batch[middle:], is_repeat=is_repeat)

    async def _answer_each_alone(
        self, batch: list[_Waiting[ItemT, AnswerT]], *, is_repeat: bool
    ) -> None:
        """Try each alone, a few side by side: one that hangs at a lock holds up nobody else."""
        room = anyio.CapacityLimiter(self._policy.alone_at_once)

        async def answer_alone(waiting: _Waiting[ItemT, AnswerT]) -> None:
            async with room:
                if not waiting.answer.done():
                    await self._answer([waiting], is_repeat=is_repeat)

        async with anyio.create_task_group() as group:
            for waiting in batch:
                group.start_soon(answer_alone, waiting)

    def _deliver(
        self, batch: Sequence[_Waiting[ItemT, AnswerT]], answers: Answers[AnswerT]
    ) -> None:
        """Resolve each caller's answer; items to be redone go to the head of the queue."""
        redo: list[_Waiting[ItemT, AnswerT]] = []
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                waiting.refuse(answer)
            elif waiting.answer.done():
                continue
            elif answer is LATER:
                self._put_back_later(waiting)
            elif isinstance(answer, Redo):
                redo.append(waiting)
            else:
                waiting.answer.set_result(answer)
        if redo:
            self._queue.extendleft(reversed(redo))
            self._has_work.set()

    def _put_back_later(self, waiting: _Waiting[ItemT, AnswerT]) -> None:
        """Put an item into the queue again after a pause; the lane goes on without it."""
        waiting.put_off += 1
        self._put_off += 1
        repeat = self._policy.repeat or Repeat(0.1, 1.0)
        asyncio.get_running_loop().call_later(
            repeat.draw_seconds(waiting.put_off), self._put_back, waiting
        )

    def _put_back(self, waiting: _Waiting[ItemT, AnswerT]) -> None:
        self._put_off -= 1
        self._queue.append(waiting)
        self._has_work.set()


def _is_of(error: Exception, states: tuple[str, ...]) -> bool:
    """Whether the database was too busy or away, by the beginning of the error's SQLSTATE."""
    state = sqlstate_of(error)
    return isinstance(error, TimeoutError) or (state is not None and state.startswith(states))


def _readable(error: Exception) -> Exception:
    """Return the error for a batch's callers; that of a timeout says what they can do."""
    if not isinstance(error, TimeoutError):
        return error
    busy = Transient("the database had no time for this: ask again in a moment")
    busy.__cause__ = error
    return busy


def _refuse(waiting_items: Sequence[_Waiting[ItemT, AnswerT]]) -> None:
    for waiting in waiting_items:
        waiting.refuse(
            NotRunning("The process is stopping; the work is taken up again by another.")
        )
