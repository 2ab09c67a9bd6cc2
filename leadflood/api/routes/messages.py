"""Messages over HTTP: look at drafts, decide on them, send them."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, patch, post, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.messages.schemas import (
    Decider,
    Edit,
    MessageDetail,
    MessageFilter,
    MessageState,
    MessageView,
)
from leadflood.engine.errors import (
    Conflict,
    Denied,
    Invalid,
    NotConfigured,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.ids import NEWEST


class MessageQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which messages; null asks for nothing. `leadId` means the person: merged leads too."""

    state: MessageState | None = None
    run_id: UUID | None = None
    lead_id: UUID | None = None
    channel: Channel | None = None


class Again(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether whoever got a first message before gets this one too (needs `messages:again`)."""

    again: bool = False


class Rejection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a draft does not go."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


@get("/v1/messages", permission="messages:read")
async def list_messages(
    query: MessageQuery, caller: Caller, services: Services
) -> Listed[MessageView]:
    """List messages, newest first."""
    messages = await services.messages.list(
        msgspec.convert(query, MessageFilter, from_attributes=True),
        visibility=caller.visibility,
        before=query.position() or NEWEST,
        limit=query.fetch_limit,
    )
    return paginate(messages, query)


@get(
    "/v1/messages/{messageId}",
    permission="messages:read",
    errors=(NotFound,),
    shows_more=True,
)
async def get_message(message_id: UUID, caller: Caller, services: Services) -> MessageDetail:
    """Show a message with the facts that carry it."""
    return await services.messages.get(message_id, caller.visibility)


@patch(
    "/v1/messages/{messageId}",
    permission="messages:write",
    errors=(NotFound, Conflict, PreconditionFailed, Invalid),
    takes_if_match=True,
)
async def edit_message(
    message_id: UUID, body: Edit, caller: Caller, services: Services, uow: UnitOfWork
) -> MessageView:
    """Put a person's text in place of a draft; it waits for approval again."""
    message = await services.approval.edit(uow.tx, message_id, _decider(caller), body)
    return await _audited(uow, "message.edited", message)


@put(
    "/v1/messages/{messageId}/approval",
    permission="messages:approve",
    also_needs=("messages:send",),
    errors=(NotFound, Conflict, Denied, PreconditionFailed),
    takes_if_match=True,
)
async def approve_message(
    message_id: UUID, query: Again, caller: Caller, services: Services, uow: UnitOfWork
) -> MessageView:
    """Approve a draft, which sends it; approving twice changes nothing.

    It goes as soon as the channel allows, also in a run whose `sends` is hold. Whose person or
    mailbox got a first message before is refused, unless `again` asks for it by name.
    """
    decider = _decider(caller, repeats=query.again)
    message = await services.approval.approve(uow, message_id, decider)
    return await _audited(uow, "message.approved", message, again=query.again)


@put(
    "/v1/messages/{messageId}/rejection",
    permission="messages:approve",
    errors=(NotFound, Conflict, PreconditionFailed),
    takes_if_match=True,
)
async def reject_message(
    message_id: UUID, body: Rejection, caller: Caller, services: Services, uow: UnitOfWork
) -> MessageView:
    """Keep a draft from going; rejecting twice changes nothing."""
    message = await services.approval.reject(uow, message_id, _decider(caller), body.reason)
    return await _audited(uow, "message.rejected", message)


@post(
    "/v1/messages/{messageId}/send",
    permission="messages:send",
    errors=(NotFound, Conflict, Denied, NotConfigured),
)
async def send_message(
    message_id: UUID, query: Again, caller: Caller, services: Services, uow: UnitOfWork
) -> MessageView:
    """Approve a draft if it waits, and send it at once; a ready one goes to the front.

    Refused while sending is held, where the person must not be written to, and where it was
    sent, refused or may have arrived already. One that was cancelled as `already_written` goes
    with `again`.
    """
    decider = _decider(caller, repeats=query.again)
    message = await services.approval.send(uow, message_id, decider)
    return await _audited(uow, "message.send_requested", message, again=query.again)


def _decider(caller: Caller, *, repeats: bool = False) -> Decider:
    """Return who decides. Raises: Denied where they may not write to somebody again."""
    if repeats and Permission.MESSAGES_AGAIN not in caller.principal.permissions:
        raise Denied(
            f"to write a first message again needs {Permission.MESSAGES_AGAIN}",
            code="message.again_denied",
        )
    return Decider(
        by=caller.by, repeats=repeats, visibility=caller.visibility, version=caller.if_match
    )


async def _audited(
    uow: UnitOfWork, action: str, message: MessageView, **detail: object
) -> MessageView:
    """Record what was decided about a message, and return it."""
    await uow.audit(
        action, message.id, lead=str(message.lead_id), version=message.version, **detail
    )
    return message
