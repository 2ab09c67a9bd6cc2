"""Activities over HTTP: what people did to leads."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.activities.schemas import (
    Activity,
    ActivityEdit,
    ActivityFilter,
    Instant,
    NewActivity,
    Text,
)
from leadflood.engine.errors import Denied, NotFound, PreconditionFailed

OF_LEAD = "/v1/leads/{leadId}/activities"
ACTIVITY = "/v1/activities/{activityId}"
Name = Annotated[str, msgspec.Meta(max_length=100)]


class ActivityPatch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A correction of an activity; what is left out, or null, stays."""

    text: Text | None = None
    happened_at: Instant | None = None


class LeadActivityQuery(
    Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which activities of a lead; `since` is the time they happened."""

    kind: Name | None = None
    actor: Name | None = None
    since: Instant | None = None


class ActivityQuery(
    LeadActivityQuery, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which activities; `actor` as `by` shows it."""

    lead_id: UUID | None = None


@get("/v1/activities", permission="leads:read")
async def list_activities(
    query: ActivityQuery, caller: Caller, services: Services
) -> Listed[Activity]:
    """List what people did to leads, newest recorded first."""
    return await _list(query, query.lead_id, caller, services)


@get(OF_LEAD, permission="leads:read", errors=(NotFound,))
async def list_lead_activities(
    lead_id: UUID, query: LeadActivityQuery, caller: Caller, services: Services
) -> Listed[Activity]:
    """List what people did to a lead and those merged into it, newest recorded first."""
    lead = await services.leads.get(services.db, lead_id, caller.visibility)
    return await _list(query, lead.id, caller, services)


@post(OF_LEAD, permission="leads:write", status=HTTPStatus.CREATED, errors=(NotFound,))
async def record_activity(
    lead_id: UUID, body: NewActivity, caller: Caller, services: Services, uow: UnitOfWork
) -> Activity:
    """Record what somebody did to a lead: a note, a call, a meeting or a task."""
    activity, event = await services.activities.record(uow.tx, lead_id, body, caller.editor)
    await uow.publish([event])
    return activity


@patch(
    ACTIVITY,
    permission="leads:write",
    errors=(NotFound, Denied, PreconditionFailed),
    takes_if_match=True,
)
async def change_activity(
    activity_id: UUID, body: ActivityPatch, caller: Caller, services: Services, uow: UnitOfWork
) -> Activity:
    """Correct an activity you recorded; what is left out stays."""
    edit = ActivityEdit(text=body.text, happened_at=body.happened_at)
    activity = await services.activities.change(uow.tx, activity_id, edit, caller.editor)
    await _audit(uow, "activity.changed", activity)
    return activity


@delete(
    ACTIVITY,
    permission="leads:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, Denied, PreconditionFailed),
    takes_if_match=True,
)
async def delete_activity(
    activity_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> None:
    """Delete an activity you recorded."""
    activity = await services.activities.delete(uow.tx, activity_id, caller.editor)
    await _audit(uow, "activity.deleted", activity)


async def _list(
    query: LeadActivityQuery, lead_id: UUID | None, caller: Caller, services: Services
) -> Listed[Activity]:
    activities = ActivityFilter(
        lead_id=lead_id, kind=query.kind, actor=query.actor, since=query.since
    )
    page = await services.activities.list(
        services.db, activities, caller.visibility, query.position(), query.fetch_limit
    )
    return paginate(page, query)


async def _audit(uow: UnitOfWork, action: str, activity: Activity) -> None:
    await uow.audit(action, activity.id, lead_id=str(activity.lead_id), kind=activity.kind)
