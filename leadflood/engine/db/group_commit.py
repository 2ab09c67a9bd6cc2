"""Group commit: a batcher that writes whatever was submitted meanwhile in one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.batching import Answers, Batcher, BatchPolicy, Repeat
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx, sqlstate_of
from leadflood.engine.errors import Transient

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

Write = Callable[[Tx, Sequence[ItemT], bool], Awaitable[Sequence[AnswerT | Exception]]]
"""Writes a batch in the transaction given; the flag and the answers are those of `Handle`."""

LOCK_OR_STATEMENT_TIMEOUT = ("55P03", "57014")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a shared transaction grows, and how it is repeated when the connection is lost."""

    batch: int = 500
    backoff_base_seconds: float = 0.05
    backoff_cap_seconds: float = 2.0


DEFAULTS = Settings()


def group_commit(
    db: Database,
    write: Write[ItemT, AnswerT],
    clock: Clock,
    settings: Settings = DEFAULTS,
    *,
    is_reading: bool = False,
) -> Batcher[ItemT, AnswerT]:
    """Return a batcher whose batches are transactions, one after the other.

    A lost connection repeats the transaction, a faulty item is found by halving. `is_reading`: a
    single query, no transaction.
    """
    open_transaction = db.session if is_reading else db.transaction

    async def write_batch(
        items: Sequence[ItemT],
        is_repeat: bool,  # noqa: FBT001 - the shape of Handle
    ) -> Answers[AnswerT]:
        try:
            async with open_transaction() as tx:
                return await write(tx, items, is_repeat)
        except Exception as error:
            if sqlstate_of(error) not in LOCK_OR_STATEMENT_TIMEOUT:
                raise
            raise _too_slow(error) from error

    repeat = Repeat(settings.backoff_base_seconds, settings.backoff_cap_seconds)
    policy = BatchPolicy(
        max_items=settings.batch, lanes=1, timeout_seconds=None, repeat=repeat, alone_at_once=0
    )
    return Batcher(write_batch, policy, clock)


def _too_slow(error: Exception) -> Transient:
    """Return the error of a time-out: it says nothing about the item, which may be tried again."""
    return Transient(f"The database was too slow or a row stayed locked ({error}); try again.")
