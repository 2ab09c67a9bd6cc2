"""A change over HTTP: one transaction with its jobs, its audit record and its remembered answer."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from leadflood.api.edge import Caller, Node
from leadflood.api.idempotency import another_body, key_of, remembered
from leadflood.api.turns import Ended
from leadflood.domain.accounts.schemas import AuditEntry
from leadflood.engine.db.tx import Tx
from leadflood.engine.queue.publisher import Publication

AnswerT = TypeVar("AnswerT")


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


async def once(
    node: Node, caller: Caller, kind: type[AnswerT], do: Callable[[Deed], Awaitable[AnswerT]]
) -> AnswerT:
    """Do a change once: with an Idempotency-Key seen before, its first answer is given again.

    `do` runs in one transaction with what it publishes and audits, and with its answer. Raises:
    HttpRefused 422 when the key came with another body before, and what `do` raises.
    """
    if not caller.idempotency_key:
        return await _do(node, caller, kind, do)
    async with node.turns.take(key_of(caller)) as turn:
        if turn.ended is None:
            turn.ended = Ended(caller.body_hash, await _do(node, caller, kind, do))
        elif turn.ended.body_hash != caller.body_hash:
            raise another_body()
        answer: AnswerT = turn.ended.answer
    return answer


async def _do(
    node: Node, caller: Caller, kind: type[AnswerT], do: Callable[[Deed], Awaitable[AnswerT]]
) -> AnswerT:
    async with node.publisher.transaction() as publication:
        async with remembered(publication.tx, caller, kind, node.storage.clock) as memory:
            if memory.answer is None:
                memory.answer = await do(Deed(node, caller, publication))
        answer: AnswerT = memory.answer
    return answer
