"""A change over HTTP: one transaction with its jobs, its audit record and its remembered answer."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.idempotency import Keeper, another_body, key_of, remembered
from leadflood.api.turns import Ended
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.queue.publisher import Publication

AnswerT = TypeVar("AnswerT")


class Rejected(msgspec.Struct, frozen=True):
    """A deed's answer when it is refused and what it wrote must stay.

    The transaction commits, then the error is raised; no Idempotency-Key remembers it.
    """

    error: LeadfloodError


class Deed:
    """The open transaction of a change."""

    def __init__(self, node: Node, caller: Caller, publication: Publication) -> None:
        self._node = node
        self.caller = caller
        self.publication = publication

    @property
    def tx(self) -> Tx:
        """The transaction."""
        return self.publication.tx

    async def audit(self, *entries: AuditEntry) -> None:
        """Write down privileged acts beside what they change."""
        if entries:
            await self._node.storage.audit.record(self.tx, self.caller.actor, entries)


Do = Callable[[Deed], Awaitable[AnswerT | Rejected]]


async def once(
    node: Node,
    caller: Caller,
    kind: type[AnswerT],
    do: Do[AnswerT],
    *,
    keeper: Keeper | None = None,
) -> AnswerT:
    """Do a change once: with an Idempotency-Key seen before, its first answer is given again.

    `do` runs in one transaction with what it publishes and audits, and with its answer. `keeper`
    seals answers that hold secrets. Raises: HttpRefused 422 when the key came with another body
    before, what `do` raises, and what it rejects with.
    """
    if not caller.idempotency_key:
        return _answer_of(await _do(node, caller, kind, do, keeper))
    async with node.turns.take(key_of(caller)) as turn:
        if turn.ended is None:
            answer = _answer_of(await _do(node, caller, kind, do, keeper))
            turn.ended = Ended(caller.body_hash, answer)
        elif turn.ended.body_hash != caller.body_hash:
            raise another_body()
        else:
            answer = turn.ended.answer
    return answer


async def _do(
    node: Node, caller: Caller, kind: type[AnswerT], do: Do[AnswerT], keeper: Keeper | None
) -> AnswerT | Rejected:
    async with node.publisher.transaction() as publication:
        tx, clock = publication.tx, node.storage.clock
        async with remembered(tx, caller, kind, clock, keeper) as memory:
            if memory.answer is not None:
                known: AnswerT = memory.answer
                return known
            answer = await do(Deed(node, caller, publication))
            if not isinstance(answer, Rejected):
                memory.answer = answer
    return answer


def _answer_of(answer: AnswerT | Rejected) -> AnswerT:
    if isinstance(answer, Rejected):
        raise answer.error
    return answer
