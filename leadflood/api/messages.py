"""Messages over HTTP: decide on drafts."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.listing import Listed, Paging, listed
from leadflood.api.route import Route
from leadflood.domain.messaging.schemas import (
    MessageDetail,
    MessageState,
    MessageView,
)
from leadflood.domain.messaging.service import Edit
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound

NEWEST = UUID(int=2**128 - 1)


class MessageQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which messages; null asks for nothing."""

    state: MessageState | None = None
    run_id: UUID | None = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a draft does not go."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class Messages:
    """The routes of messages."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/messages", "/v1/messages/{messageId}"
        found, decided = (NotFound,), (NotFound, Conflict, Invalid)
        return (
            Route(method="GET", path=path, handler=self.list, permission="messages:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="messages:read", errors=found
            ),
            Route(
                method="PATCH", path=one, handler=self.edit, permission="messages:write",
                errors=decided,
            ),
            Route(
                method="PUT", path=f"{one}/approval", handler=self.approve,
                permission="messages:approve", errors=(*decided, NotConfigured),
            ),
            Route(
                method="PUT", path=f"{one}/rejection", handler=self.reject,
                permission="messages:approve", errors=decided,
            ),
        )  # fmt: skip

    async def list(self, query: MessageQuery) -> Listed[MessageView]:
        """List messages, newest first."""
        messages = await self._node.messaging.list_messages(
            state=query.state,
            run_id=query.run_id,
            before=query.place() or NEWEST,
            limit=query.limit + 1,
        )
        return listed(messages, query, lambda message: message.id)

    async def get(self, message_id: UUID) -> MessageDetail:
        """Show a message with the facts that carry it."""
        return await self._node.messaging.show(message_id)

    async def edit(self, message_id: UUID, body: Edit, caller: Caller) -> MessageView:
        """Put a person's text in place of a draft; it waits for approval again."""
        return await self._node.messaging.edit(message_id, body, caller.by)

    async def approve(self, message_id: UUID, caller: Caller) -> MessageView:
        """Let a draft go; approving twice changes nothing."""
        return await self._node.messaging.approve(message_id, caller.by)

    async def reject(self, message_id: UUID, body: Rejection, caller: Caller) -> MessageView:
        """Keep a draft from going; rejecting twice changes nothing."""
        return await self._node.messaging.reject(message_id, caller.by, body.reason)
