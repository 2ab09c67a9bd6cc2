"""The answer cache: questions whose answer is stored are not asked again."""

from collections.abc import Sequence

from leadflood.engine.clock import Clock
from leadflood.engine.db.batching import Batcher
from leadflood.engine.db.group_commit import Settings as GroupSettings, group_commit
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.net.calls import Call, Reply
from leadflood.engine.net.ledger_port import Ledger, LedgerQuestion

Names = tuple[LedgerQuestion, ...]
"""A question by all of its names."""


class AnswerCache:
    """Reads the ledger's stored answers; concurrent calls share one query. `run` must be running.

    Answers are written by the transaction that settles their call.
    """

    def __init__(self, db: Database, ledger: Ledger, clock: Clock, settings: GroupSettings) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._lookups: Batcher[Names, Reply | None] = group_commit(
            db, self._find_batch, clock, settings, is_reading=True
        )

    async def run(self) -> None:
        """Look up until cancelled."""
        await self._lookups.run()

    async def find(self, call: Call, names: Names) -> Reply | None:
        """Return the stored answer of a call; None: there is none."""
        return await self._lookups.submit(names) if _is_stored(call) else None

    async def find_many(self, call: Call, questions: Sequence[Names]) -> Sequence[Reply | None]:
        """Return the stored answers in the order of the questions."""
        if not _is_stored(call):
            return [None] * len(questions)
        if len(questions) == 1:
            return [await self._lookups.submit(questions[0])]
        async with self._db.session() as session:
            return await self._ledger.find_answers(session, questions, self._clock.now())

    async def _find_batch(
        self,
        tx: Tx,
        questions: Sequence[Names],
        _is_repeat: bool,  # noqa: FBT001 - the shape of Write
    ) -> Sequence[Reply | None]:
        return await self._ledger.find_answers(tx, questions, self._clock.now())


def _is_stored(call: Call) -> bool:
    return call.answer_seconds > 0 or call.miss_seconds > 0
