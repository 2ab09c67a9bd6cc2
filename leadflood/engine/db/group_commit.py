"""Group commit: a batcher that writes whatever was submitted meanwhile in one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec
import structlog

from leadflood.engine.clock import Clock
from leadflood.engine.db.batching import Answers, Batcher, BatchPolicy, Redo, Repeat
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import LOCK_NOT_AVAILABLE, TIMEOUTS, Tx, sqlstate_of
from leadflood.engine.errors import Throttled

log = structlog.get_logger(__name__)

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

Write = Callable[[Tx, Sequence[ItemT], bool], Awaitable[Sequence[AnswerT | Exception]]]
"""Writes a batch in the transaction given; the flag and the answers are those of `Handle`."""

_BUSY = "The database was too slow or a row stayed locked; try again."
_BUSY_SECONDS = 1.0
_PATIENT_WAITS = 10
_PATIENT_SECONDS = 0.02
_IMPATIENT_SECONDS = 0.001


class DatabaseBusy(Throttled):
    """A row stayed locked, or the database was too slow: ask again in a moment."""

    code = "database.busy"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a shared transaction grows, and how it is repeated when the connection is lost.

    `lock_wait_seconds`: how long it waits for a locked row; then it goes on without the items that
    need the row. `flush_seconds`: how long what is submitted is still written when the node stops.
    """

    batch: int = 500
    backoff_base_seconds: float = 0.05
    backoff_cap_seconds: float = 2.0
    lock_wait_seconds: float = 0.25
    flush_seconds: float = 10.0


DEFAULTS = Settings()


def group_commit(
    db: Database,
    write: Write[ItemT, AnswerT],
    clock: Clock,
    settings: Settings = DEFAULTS,
    *,
    is_reading: bool = False,
    when_locked: Redo | None = None,
) -> Batcher[ItemT, AnswerT]:
    """Return a batcher whose batches are transactions, one after the other.

    A lost connection repeats the transaction, a faulty item is found by halving. An item that
    meets a locked row is nobody's fault: it gets `when_locked` (None: DatabaseBusy is raised to its
    caller), and the others of its batch are written. `is_reading`: a single query, no transaction.
    """
    if is_reading:

        async def handle(
            items: Sequence[ItemT],
            is_repeat: bool,  # noqa: FBT001 - the shape of Handle
        ) -> Answers[AnswerT]:
            async with db.session() as session:
                return await write(session, items, is_repeat)

    else:
        handle = _Transactions(db, write, settings, when_locked).write

    repeat = Repeat(settings.backoff_base_seconds, settings.backoff_cap_seconds)
    policy = BatchPolicy(
        max_items=settings.batch,
        lanes=1,
        timeout_seconds=None,
        repeat=repeat,
        alone_at_once=0,
        flush_seconds=settings.flush_seconds,
    )
    return Batcher(handle, policy, clock)


class _Transactions(Generic[ItemT, AnswerT]):
    """Writes batches, waiting only a moment for rows that others have locked."""

    def __init__(
        self,
        db: Database,
        write: Write[ItemT, AnswerT],
        settings: Settings,
        when_locked: Redo | None,
    ) -> None:
        self._db = db
        self._write = write
        self._settings = settings
        self._when_locked = when_locked

    async def write(
        self,
        items: Sequence[ItemT],
        is_repeat: bool,  # noqa: FBT001 - the shape of Handle
    ) -> Answers[AnswerT]:
        """Write a batch in one transaction; where that meets a lock, go past it in another."""
        try:
            async with self._db.transaction() as tx:
                await tx.limit_lock_waits(self._settings.lock_wait_seconds)
                return await self._write(tx, items, is_repeat)
        except Exception as error:
            if sqlstate_of(error) not in TIMEOUTS:
                raise
            log.warning("engine.lock.met", items=len(items), error=str(error))
            if len(items) == 1 or sqlstate_of(error) != LOCK_NOT_AVAILABLE:
                return [self._refuse() for _ in items]
        return await self._write_past_locks(items, is_repeat=is_repeat)

    async def _write_past_locks(
        self, items: Sequence[ItemT], *, is_repeat: bool
    ) -> Answers[AnswerT]:
        """Write each item that finds its rows free; who would have to wait is left out."""
        answers: list[AnswerT | Exception | Redo] = []
        locked = 0
        async with self._db.transaction() as tx:
            await tx.limit_lock_waits(_PATIENT_SECONDS)
            for item in items:
                try:
                    async with tx.savepoint():
                        answers.extend(await self._write(tx, [item], is_repeat))
                except Exception as error:
                    if sqlstate_of(error) not in TIMEOUTS:
                        raise
                    answers.append(self._refuse())
                    locked += 1
                    if locked == _PATIENT_WAITS:
                        await tx.limit_lock_waits(_IMPATIENT_SECONDS)
        return answers

    def _refuse(self) -> DatabaseBusy | Redo:
        return self._when_locked or DatabaseBusy(_BUSY, _BUSY_SECONDS)
