"""Sending over HTTP, for operators: hold, release, say what arrived."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post, put
from leadflood.api.http.unit_of_work import Subject, UnitOfWork
from leadflood.api.routes.admin_stages import Why
from leadflood.api.services import Services
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import (
    IntentState,
    IntentView,
    ResolvedSend,
    SendingStatus,
    UnknownFilter,
)
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound
from leadflood.engine.ids import OLDEST

RELEASE_REASON = "by the API"
MOST_AT_ONCE = 1_000


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an unknown sending arrived; one that did not goes again."""

    sent: bool


class UnknownQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which unknown sends; null asks for nothing."""

    channel: Channel | None = None
    sent_before: datetime | None = None


class ChosenUnknown(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether unknown sends arrived; those that did not go again.

    They are named by their ids, or by a filter: oldest first, `limit` at once.
    """

    sent: bool
    ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)] | None = (
        None
    )
    filter: UnknownFilter | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 500


class Resolutions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Results of many resolutions. `hasMore`: the filter means more of them, ask again."""

    data: Sequence[ResolvedSend]
    resolved: int
    has_more: bool


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
async def list_unknown(query: UnknownQuery, services: Services) -> Listed[IntentView]:
    """List the sendings of which nobody knows whether they arrived, oldest first."""
    chosen = UnknownFilter(channel=query.channel, sent_before=query.sent_before)
    intents = await services.unknown_sends.list(
        chosen, after=query.position() or OLDEST, limit=query.fetch_limit
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


@post("/v1/admin/sending/unknown-resolutions", permission="admin:write", errors=(Invalid,))
async def resolve_many_unknown(
    body: ChosenUnknown, caller: Caller, services: Services, uow: UnitOfWork
) -> Resolutions:
    """Resolve many unknown sendings at once: they arrived, or they did not and go again."""
    if (body.ids is None) == (body.filter is None):
        problem = "give either ids or a filter (an empty filter means all)"
        raise Invalid(problem, (FieldProblem("ids", problem), FieldProblem("filter", problem)))
    ids, has_more = body.ids or (), False
    if body.filter is not None:
        views = await services.unknown_sends.list(body.filter, limit=body.limit + 1)
        ids, has_more = tuple(view.id for view in views[: body.limit]), len(views) > body.limit
    results = await services.unknown_sends.resolve_many(uow, ids, sent=body.sent, by=caller.by)
    resolved = sum(result.is_resolved for result in results)
    chosen = {"ids": body.ids} if body.filter is None else {"filter": body.filter}
    await uow.audit("sending.resolved_many", sent=body.sent, count=resolved, **chosen)
    return Resolutions(data=results, resolved=resolved, has_more=has_more)
