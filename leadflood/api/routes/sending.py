"""Sending over HTTP, for operators: hold, release, say what arrived."""

from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, put
from leadflood.api.http.unit_of_work import Subject, UnitOfWork
from leadflood.api.routes.admin_stages import Why
from leadflood.api.services import Services
from leadflood.domain.sending.schemas import IntentState, IntentView, SendingStatus
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.ids import OLDEST

RELEASE_REASON = "by the API"


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an unknown sending arrived; one that did not goes again."""

    sent: bool


class Resolved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A send of unknown outcome after an operator settled it."""

    intent_id: UUID
    state: IntentState


@get("/v1/admin/sending", permission="admin:read")
async def get_status(services: Services) -> SendingStatus:
    """Show whether sending is held, and what may still arrive."""
    return await services.sending.status()


@put("/v1/admin/sending/hold", permission="admin:write")
async def hold_sending(
    body: Why, caller: Caller, services: Services, uow: UnitOfWork
) -> SendingStatus:
    """Stop all sending: once this answers, only what it lists may still arrive."""
    await uow.audit("sending.held", reason=body.reason)
    return await services.sending.hold(uow.tx, caller.by, body.reason)


@delete("/v1/admin/sending/hold", permission="admin:write")
async def release_sending(caller: Caller, services: Services, uow: UnitOfWork) -> SendingStatus:
    """Resume sending."""
    await uow.audit("sending.released", reason=RELEASE_REASON)
    return await services.sending.release(uow.tx, caller.by, RELEASE_REASON)


@get("/v1/admin/sending/unknown", permission="admin:read")
async def list_unknown(query: Paging, services: Services) -> Listed[IntentView]:
    """List the sendings of which nobody knows whether they arrived, oldest first."""
    intents = await services.unknown_sends.list(
        after=query.position() or OLDEST, limit=query.fetch_limit
    )
    return paginate(intents, query)


@put(
    "/v1/admin/sending/unknown/{intentId}",
    permission="admin:write",
    errors=(NotFound, Conflict),
)
async def resolve_unknown(
    intent_id: UUID, body: Arrived, caller: Caller, services: Services, uow: UnitOfWork
) -> Resolved:
    """Resolve an unknown sending: it arrived, or it did not."""
    state = await services.unknown_sends.resolve(uow, intent_id, sent=body.sent, by=caller.by)
    await uow.audit("sending.resolved", Subject("intent", intent_id), sent=body.sent)
    return Resolved(intent_id=intent_id, state=state)
