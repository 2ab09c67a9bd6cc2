"""Activities over HTTP: what people did to leads."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.lead_actions import editor_of
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.leads.activity_schemas import Activity, ActivityFilter, ActivityKind
from leadflood.domain.leads.activity_service import ActivityService
from leadflood.domain.leads.service import LeadService
from leadflood.engine.errors import Denied, NotFound, PreconditionFailed

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(max_length=100)]


class NewActivity(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What was done; `happenedAt` null: just now."""

    kind: ActivityKind
    text: Text
    happened_at: Instant | None = None


class ActivityPatch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What was wrong of it; what is left out, or null, stays."""

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


class Activities:
    """The routes of activities."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> ActivityService:
        return ActivityService(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        changes = (NotFound, Denied, PreconditionFailed)
        return (
            Route(
                method="GET", path="/v1/activities", handler=self.list, permission="leads:read",
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}/activities", handler=self.list_of_lead,
                permission="leads:read", errors=(NotFound,),
            ),
            Route(
                method="POST", path="/v1/leads/{leadId}/activities", handler=self.record,
                permission="leads:write", status=HTTPStatus.CREATED, errors=(NotFound,),
            ),
            Route(
                method="PATCH", path="/v1/activities/{activityId}", handler=self.change,
                permission="leads:write", errors=changes, takes_if_match=True,
            ),
            Route(
                method="DELETE", path="/v1/activities/{activityId}", handler=self.delete,
                permission="leads:write", status=HTTPStatus.NO_CONTENT, errors=changes,
                takes_if_match=True,
            ),
        )  # fmt: skip

    async def list(self, query: ActivityQuery, caller: Caller) -> Listed[Activity]:
        """List what people did to leads, newest recorded first."""
        return await self._page(query, query.lead_id, caller)

    async def list_of_lead(
        self, lead_id: UUID, query: LeadActivityQuery, caller: Caller
    ) -> Listed[Activity]:
        """List what people did to a lead and those merged into it, newest recorded first."""
        services = self._node.services
        view = await LeadService(services.ids, services.clock).get(services.db, lead_id)
        mine = caller.principal.sees_owner
        if mine is not None and view.owner != str(mine):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return await self._page(query, view.id, caller)

    async def _page(
        self, query: LeadActivityQuery, lead_id: UUID | None, caller: Caller
    ) -> Listed[Activity]:
        mine = caller.principal.sees_owner
        wanted = ActivityFilter(
            lead_id=lead_id,
            kind=query.kind,
            actor=query.actor,
            since=query.since,
            seen_by=None if mine is None else str(mine),
        )
        found = await self._use.list(
            self._node.services.db, wanted, query.position(), query.fetch_limit
        )
        return paginate(found, query)

    async def record(self, lead_id: UUID, body: NewActivity, caller: Caller) -> Activity:
        """Tell what was done to a lead."""

        async def do(uow: UnitOfWork) -> Activity:
            made, event = await self._use.record(
                uow.tx, lead_id, body.kind, body.text, body.happened_at, editor_of(caller)
            )
            await uow.publication.publish(
                [event], request_id=caller.request_id, trace_parent=caller.trace_parent
            )
            return made

        return await run_once(self._node.services, caller, Activity, do)

    async def change(self, activity_id: UUID, body: ActivityPatch, caller: Caller) -> Activity:
        """Correct what you told."""

        async def do(uow: UnitOfWork) -> Activity:
            changed = await self._use.change(
                uow.tx, activity_id, body.text, body.happened_at, editor_of(caller)
            )
            await uow.record(_entry("activity.changed", changed))
            return changed

        return await run_once(self._node.services, caller, Activity, do)

    async def delete(self, activity_id: UUID, caller: Caller) -> None:
        """Take back what you told."""

        async def do(uow: UnitOfWork) -> Activity:
            gone = await self._use.delete(uow.tx, activity_id, editor_of(caller))
            await uow.record(_entry("activity.deleted", gone))
            return gone

        await run_once(self._node.services, caller, Activity, do)


def _entry(action: str, activity: Activity) -> AuditEntry:
    detail = {"leadId": str(activity.lead_id), "kind": activity.kind}
    return AuditEntry(
        action=action, subject_kind="activity", subject_id=str(activity.id), detail=detail
    )
