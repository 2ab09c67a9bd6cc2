"""Possible duplicates over HTTP: two leads side by side, for a person to decide."""

from http import HTTPStatus
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.routes.lead_actions import Merged
from leadflood.api.services import Services
from leadflood.domain.duplicates.schemas import DuplicateFilter, DuplicateState, DuplicateView
from leadflood.domain.leads.schemas.events import LeadMerged
from leadflood.engine.errors import Conflict, NotFound

BY_SCORE = "-score"


class DuplicateQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which pairs; `leadId` null: of any lead."""

    state: DuplicateState = DuplicateState.OPEN
    lead_id: UUID | None = None


class DuplicatePosition(msgspec.Struct, frozen=True, array_like=True):
    """Where a pair stands by its score."""

    score: float
    id: UUID


@get("/v1/duplicates", permission="leads:read")
async def list_duplicates(
    query: DuplicateQuery, caller: Caller, services: Services
) -> Listed[DuplicateView]:
    """List leads that may be one, side by side with why, the likeliest first."""
    position = query.position_in(BY_SCORE, DuplicatePosition)
    duplicates = await services.duplicates.list(
        services.db,
        DuplicateFilter(state=query.state, lead_id=query.lead_id),
        caller.visibility,
        None if position is None else (position.score, position.id),
        query.fetch_limit,
    )
    return make_page(
        query.skip(duplicates),
        query,
        lambda duplicate: DuplicatePosition(duplicate.score, duplicate.id),
        sort=BY_SCORE,
    )


@post(
    "/v1/duplicates/{duplicateId}/merge",
    permission="leads:write",
    errors=(NotFound, Conflict),
)
async def merge_duplicate(
    duplicate_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> Merged:
    """Merge two leads that are one person: the older one stands for both, nothing is lost."""
    event: LeadMerged = await services.duplicates.merge(uow.tx, duplicate_id, caller.editor)
    await uow.publish([event])
    await uow.audit("lead.merged", event.lead_id, survivor_id=str(event.survivor_id))
    return Merged(survivor_id=event.survivor_id, merged_id=event.lead_id)


@post(
    "/v1/duplicates/{duplicateId}/different",
    permission="leads:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound,),
)
async def tell_duplicate_apart(
    duplicate_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> None:
    """Say that two leads are two people: they are neither merged by themselves nor shown again."""
    event = await services.duplicates.tell_apart(uow.tx, duplicate_id, caller.editor)
    await uow.publish([event])
    await uow.audit("lead.told_apart", event.lead_id, duplicate_id=str(duplicate_id))
