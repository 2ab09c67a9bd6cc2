"""Messages over HTTP: look at drafts, decide on them, send them."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.contracts.values import Channel
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.messaging.schemas import (
    Decider,
    Edit,
    MessageDetail,
    MessageFilter,
    MessageState,
    MessageView,
)
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound, PreconditionFailed

NEWEST = UUID(int=2**128 - 1)
Decision = Callable[[UnitOfWork, Decider], Awaitable[MessageView]]


class MessageQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which messages; null asks for nothing. `leadId` means the person: merged leads too."""

    state: MessageState | None = None
    run_id: UUID | None = None
    lead_id: UUID | None = None
    channel: Channel | None = None


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
        read, approve = "messages:read", "messages:approve"
        decided = (NotFound, Conflict, PreconditionFailed)
        return (
            Route(method="GET", path=path, handler=self.list, permission=read),
            Route(
                method="GET", path=one, handler=self.get, permission=read, errors=(NotFound,),
                shows_more=True,
            ),
            Route(
                method="PATCH", path=one, handler=self.edit, permission="messages:write",
                errors=(*decided, Invalid), takes_if_match=True,
            ),
            Route(
                method="PUT", path=f"{one}/approval", handler=self.approve, permission=approve,
                errors=(*decided, NotConfigured), takes_if_match=True,
            ),
            Route(
                method="PUT", path=f"{one}/rejection", handler=self.reject, permission=approve,
                errors=decided, takes_if_match=True,
            ),
            Route(
                method="POST", path=f"{one}/send", handler=self.send, permission=approve,
                errors=(NotFound, Conflict, NotConfigured),
            ),
        )  # fmt: skip

    async def list(self, query: MessageQuery, caller: Caller) -> Listed[MessageView]:
        """List messages, newest first."""
        wanted = MessageFilter(
            state=query.state, run_id=query.run_id, lead_id=query.lead_id, channel=query.channel,
            owner=_owner(caller),
        )  # fmt: skip
        found = await self._node.services.messaging.list_some(
            wanted, before=query.position() or NEWEST, limit=query.fetch_limit
        )
        return paginate(found, query)

    async def get(self, message_id: UUID, caller: Caller) -> MessageDetail:
        """Show a message with the facts that carry it."""
        return await self._node.services.messaging.show(message_id, _owner(caller))

    async def edit(self, message_id: UUID, body: Edit, caller: Caller) -> MessageView:
        """Put a person's text in place of a draft; it waits for approval again."""
        decisions = self._node.services.messaging.decisions
        return await self._decide(
            caller,
            "message.edited",
            lambda uow, by: decisions.edit(uow.publication, message_id, by, body),
        )

    async def approve(self, message_id: UUID, caller: Caller) -> MessageView:
        """Let a draft go; approving twice changes nothing."""
        decisions = self._node.services.messaging.decisions
        return await self._decide(
            caller,
            "message.approved",
            lambda uow, by: decisions.approve(uow.publication, message_id, by),
        )

    async def reject(self, message_id: UUID, body: Rejection, caller: Caller) -> MessageView:
        """Keep a draft from going; rejecting twice changes nothing."""
        decisions = self._node.services.messaging.decisions
        return await self._decide(
            caller,
            "message.rejected",
            lambda uow, by: decisions.reject(uow.publication, message_id, by, body.reason),
        )

    async def send(self, message_id: UUID, caller: Caller) -> MessageView:
        """Approve a draft if it waits, and send it at once; a ready one goes to the front.

        Refused while sending is held, where the person must not be written to, and where it was
        sent, refused or may have arrived already.
        """
        decisions = self._node.services.messaging.decisions
        return await self._decide(
            caller,
            "message.send_requested",
            lambda uow, by: decisions.send(uow.publication, message_id, by),
        )

    async def _decide(self, caller: Caller, action: str, decide: Decision) -> MessageView:
        decider = Decider(by=caller.by, owner=_owner(caller), version=caller.if_match)

        async def do(uow: UnitOfWork) -> MessageView:
            message = await decide(uow, decider)
            entry = AuditEntry(
                action=action, subject_kind="message", subject_id=str(message.id),
                detail={"lead": str(message.lead_id), "version": message.version},
            )  # fmt: skip
            await uow.record(entry)
            return message

        return await run_once(self._node.services, caller, MessageView, do)


def _owner(caller: Caller) -> str | None:
    sees = caller.principal.sees_owner
    return None if sees is None else str(sees)
