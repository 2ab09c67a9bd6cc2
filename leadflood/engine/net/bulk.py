"""Bulk calls: one request for many items, of which only those without a stored answer are sent."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from leadflood.engine.errors import Bug
from leadflood.engine.net.calls import BulkCallItem, BulkReply, Call, Reply, SendBulk
from leadflood.engine.net.coalescing import already_paid
from leadflood.engine.net.ledger_port import LedgerQuestion


class BulkRequest:
    """The items of a bulk call with their questions and stored answers.

    `pending` are the items to be sent: one for each question that no stored answer covers.
    """

    def __init__(
        self,
        items: Sequence[BulkCallItem],
        questions: Sequence[LedgerQuestion],
        stored: Sequence[Reply | None],
    ) -> None:
        self._rows = list(zip(items, questions, stored, strict=True))
        self.pending: dict[LedgerQuestion, BulkCallItem] = {}
        for item, question, answer in self._rows:
            if answer is None:
                self.pending.setdefault(question, item)

    def canonical(self) -> bytes:
        """Return the question of the whole request: its items' questions, in one order for all."""
        return b"\x00".join(sorted(question.question_hash for question in self.pending))

    def join(self, fresh: Mapping[LedgerQuestion, Reply]) -> list[Reply]:
        """Return the answers in the order of the items; an equal item's answer is paid once."""
        replies: list[Reply] = []
        for item, question, answer in self._rows:
            reply = answer or fresh[question]
            if answer is None and self.pending[question] is not item:
                reply = already_paid(reply)
            replies.append(reply)
        return replies


def send_pending(
    call: Call, items: tuple[BulkCallItem, ...], send: SendBulk
) -> Callable[[UUID], Awaitable[BulkReply]]:
    """Bind the items to an adapter's `send`. What it returns raises Bug when answers miss."""

    async def send_items(reference: UUID) -> BulkReply:
        reply = await send(reference, items)
        if len(reply.items) != len(items):
            raise Bug(
                f"{call.provider} {call.operation}: {len(reply.items)} answers"
                f" for {len(items)} items"
            )
        return reply

    return send_items
