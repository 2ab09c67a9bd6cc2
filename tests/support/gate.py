"""A gate that only calls: for tests of adapters, where money and limits are not the question."""

from collections.abc import Sequence
from contextlib import nullcontext
from uuid import UUID, uuid4

from leadflood.engine.errors import Unsure
from leadflood.engine.net.calls import (
    BulkCallItem,
    BulkReply,
    Call,
    Cut,
    Prepare,
    Reply,
    Send,
    SendBulk,
)
from typing_extensions import override


class DirectGate:
    """Calls `send` with a fresh reference, keeps what it saw, and tells a cut effect as Unsure."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.references: list[UUID] = []
        self.replies: list[Reply] = []
        self.bulk: list[BulkReply] = []
        self.errors: list[BaseException] = []
        self.costs: dict[UUID, int] = {}
        self.bulk_errors: list[BaseException] = []

    async def call(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        self.calls.append(call)
        self.references.append(uuid4())
        try:
            async with prepare():
                reply = await send(self.references[-1])
        except Cut as error:
            self.errors.append(error)
            if call.effect:
                raise Unsure(error.detail) from error
            raise
        except Exception as error:
            self.errors.append(error)
            raise
        self.replies.append(reply)
        self.costs[self.references[-1]] = reply.cost_micros
        return reply

    async def call_bulk(
        self, call: Call, items: Sequence[BulkCallItem], send: SendBulk
    ) -> Sequence[Reply]:
        self.calls.append(call)
        self.references.append(uuid4())
        try:
            reply = await send(self.references[-1], items)
        except Exception as error:
            self.bulk_errors.append(error)
            raise
        assert len(reply.items) == len(items)
        self.bulk.append(reply)
        self.costs[self.references[-1]] = sum(item.cost_micros for item in reply.items)
        return reply.items


class CachedGate(DirectGate):
    """Answers every call from the last real answer, marked as kept."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._kept = reply

    @override
    async def call(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        self.calls.append(call)
        return self._kept
