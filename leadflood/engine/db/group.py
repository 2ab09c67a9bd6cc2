"""Group commit without delay: concurrent submits share one transaction.

Whatever was submitted while the last transaction ran goes into the next; idle, a single item
commits at once. A faulty item is found by halving and fails alone.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx, sqlstate_of
from leadflood.engine.errors import Bug, LeadfloodError, Transient

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

_REPEATED = ("08", "25006", "40", "53", "57P0")
"""SQLSTATE beginnings that say nothing about the items: connection, deadlock, resources."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a shared transaction grows and how it is repeated."""

    batch: int = 500
    backoff_base_seconds: float = 0.05
    backoff_cap_seconds: float = 2.0


DEFAULTS = Settings()


class NotRunning(Transient):
    """Nobody runs the group: the process is starting or stopping; try again later."""

    code = "engine.group_stopped"


class _Waiting(Generic[ItemT, AnswerT]):
    __slots__ = ("answer", "item")

    def __init__(self, item: ItemT, answer: "asyncio.Future[AnswerT]") -> None:
        self.item = item
        self.answer = answer


class GroupTransaction(Generic[ItemT, AnswerT]):
    """Runs `write(tx, items, is_repeat)` for all that wait; answers come in the items' order.

    `is_repeat` is True when an earlier try of these items may have been committed (its reply was
    lost): `write` must then find out what it did. An exception as an answer is raised to that
    caller, and the transaction still commits. `is_reading`: a single query, no transaction.
    """

    def __init__(
        self,
        db: Database,
        write: Callable[[Tx, Sequence[ItemT], bool], Awaitable[Sequence[AnswerT | Exception]]],
        clock: Clock,
        settings: Settings = DEFAULTS,
        *,
        is_reading: bool = False,
    ) -> None:
        self._open = db.session if is_reading else db.transaction
        self._write = write
        self._clock = clock
        self._settings = settings
        self._queue: deque[_Waiting[ItemT, AnswerT]] = deque()
        self._wake: asyncio.Event | None = None
        self.repeats = 0
        self.transactions = 0
        self.items = 0

    async def submit(self, item: ItemT) -> AnswerT:
        """Put an item into the next transaction and wait until it is committed.

        Waits: for the commit. Cancelled before the transaction began, the item is left out;
        cancelled later it is committed all the same (shield the call to learn the answer).
        Raises: NotRunning; whatever `write` answered or raised for this item alone.
        """
        if self._wake is None:
            raise NotRunning("The group transaction is not running; start its actor first.")
        waiting: _Waiting[ItemT, AnswerT] = _Waiting(
            item, asyncio.get_running_loop().create_future()
        )
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def run(self) -> None:
        """Commit what is submitted until cancelled; then those still waiting get NotRunning."""
        self._wake = asyncio.Event()
        batch: list[_Waiting[ItemT, AnswerT]] = []
        try:
            while True:
                await self._wake.wait()
                batch = self._take()
                if batch:
                    await self._commit(batch)
        finally:
            self._wake = None
            _refuse([*batch, *self._queue])
            self._queue.clear()

    def _take(self) -> list[_Waiting[ItemT, AnswerT]]:
        queue = self._queue
        batch: list[_Waiting[ItemT, AnswerT]] = []
        while queue and len(batch) < self._settings.batch:
            waiting = queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        if not queue and self._wake is not None:
            self._wake.clear()
        return batch

    async def _commit(
        self, batch: list[_Waiting[ItemT, AnswerT]], *, is_repeat: bool = False
    ) -> None:
        tries = 0
        while True:
            try:
                answers = await self._attempt(batch, is_repeat=is_repeat or tries > 0)
            except Exception as error:  # noqa: BLE001 - sorted into: repeat, halve, or this caller's
                if not _is_repeated(error):
                    await self._halve(batch, error, is_repeat=is_repeat or tries > 0)
                    return
                tries += 1
                self.repeats += 1
                await self._clock.sleep(self._backoff_seconds(tries))
            else:
                _tell(batch, answers)
                return

    async def _attempt(
        self, batch: list[_Waiting[ItemT, AnswerT]], *, is_repeat: bool
    ) -> Sequence[AnswerT | Exception]:
        async with self._open() as tx:
            answers = await self._write(tx, [waiting.item for waiting in batch], is_repeat)
        self.transactions += 1
        self.items += len(batch)
        if len(answers) != len(batch):
            raise Bug(f"a shared transaction gave {len(answers)} answers for {len(batch)} items")
        return answers

    async def _halve(
        self, batch: list[_Waiting[ItemT, AnswerT]], error: Exception, *, is_repeat: bool
    ) -> None:
        if len(batch) == 1:
            _tell(batch, [_readable(error)])
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle], is_repeat=is_repeat)
        await self._commit(batch[middle:], is_repeat=is_repeat)

    def _backoff_seconds(self, tries: int) -> float:
        most: float = min(
            self._settings.backoff_cap_seconds,
            self._settings.backoff_base_seconds * 2.0 ** min(tries - 1, 10),
        )
        return most * random.uniform(0.5, 1.0)  # noqa: S311 - spreads repeats, hides nothing


def _is_repeated(error: Exception) -> bool:
    if isinstance(error, LeadfloodError):
        return False
    state = sqlstate_of(error)
    return isinstance(error, TimeoutError) or (state is not None and state.startswith(_REPEATED))


def _readable(error: Exception) -> Exception:
    """Turn a lock or statement timeout, which says nothing about the item, into a Transient."""
    state = sqlstate_of(error)
    if state not in {"55P03", "57014"}:
        return error
    told = Transient(f"The database was too slow or a row stayed locked ({error}); try again.")
    told.__cause__ = error
    return told


def _tell(
    batch: Sequence[_Waiting[ItemT, AnswerT]], answers: Sequence[AnswerT | Exception]
) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)


def _refuse(left: Sequence[_Waiting[ItemT, AnswerT]]) -> None:
    for waiting in left:
        if not waiting.answer.done():
            waiting.answer.set_exception(
                NotRunning("The process is stopping; the work is taken up again by another.")
            )
