"""Changing leads that are there: values, owner, tags, deletion, merges, and doing more for one."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.leads import Cap, Providers
from leadflood.api.services import Node
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import UserState
from leadflood.domain.leads.changes import LeadChanges
from leadflood.domain.leads.schemas import (
    DeletedLead,
    Editor,
    EnrichmentWanted,
    LeadChange,
    LeadChanged,
    LeadState,
    LeadView,
    RescoreWanted,
    TagCount,
)
from leadflood.domain.leads.service import LeadService
from leadflood.domain.runs.schemas import NO_SPENDING, RunLimits
from leadflood.engine.errors import (
    Conflict,
    Denied,
    FieldProblem,
    Invalid,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.queue.event import Event

EventT = TypeVar("EventT", bound=LeadChanged)
Change = Callable[[UnitOfWork, Editor], Awaitable[EventT | None]]
BY_DELETION = "-deletedAt"
TagText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DeletionPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a lead stands among the deleted ones."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID


class NewOwner(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whose lead it is to be; null: nobody's."""

    owner_id: UUID | None


class MergeInto(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The lead that is the same person."""

    into_id: UUID


class Merged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two leads are one: the older one, `survivorId`, stands for both."""

    survivor_id: UUID
    merged_id: UUID


class EnrichWish(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What may be done to know more of a lead.

    `icpId` null: scored for the newest ICP afterwards. `providers` null: all may be asked;
    `capMicros` null: the cap of the settings. `force`: what is known is asked for and paid for
    again, whatever answers are kept, but for what a person has decided.
    """

    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None
    force: bool = False


class ScoreWish(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What to score a lead for; null: the newest ICP."""

    icp_id: UUID | None = None


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Work has begun; `jobId` is its first step, `runId` the whole of it."""

    run_id: UUID
    job_id: UUID


class LeadStanding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose a lead is and what its tags are; `owner` null: nobody's, `deletedAt` null: there."""

    id: UUID
    version: int
    owner: str | None
    tags: tuple[str, ...]
    deleted_at: datetime | None

    @staticmethod
    def of(lead: LeadState) -> "LeadStanding":
        """Show a lead's state."""
        return msgspec.convert(lead, LeadStanding, from_attributes=True)


def editor_of(caller: Caller) -> Editor:
    """Tell the domain who changes leads, and which he may see."""
    mine = caller.principal.sees_owner
    return Editor(by=caller.by, mine=None if mine is None else str(mine), if_match=caller.if_match)


async def require_owner(node: Node, owner_id: UUID | None) -> str | None:
    """Tell how leads name an owner. Raises: Invalid when nobody active has this id."""
    if owner_id is None:
        return None
    try:
        user = await node.services.users.get(owner_id)
    except NotFound as error:
        raise _no_owner(owner_id, "there is no such user") from error
    if user.state is not UserState.ACTIVE:
        raise _no_owner(owner_id, f"this user is {user.state.value}")
    return str(owner_id)


def _no_owner(owner_id: UUID, problem: str) -> Invalid:
    return Invalid(
        f"{owner_id} cannot own leads: {problem}",
        (FieldProblem("ownerId", problem),),
        code="leads.owner.invalid",
    )


class LeadChangeRoutes:
    """The routes that change leads."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _changes(self) -> LeadChanges:
        return LeadChanges(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (*self._routes_of_rows(), *self._routes_of_merges(), *self._routes_of_work())

    def _routes_of_rows(self) -> tuple[Route, ...]:
        one = "/v1/leads/{leadId}"
        errors = (NotFound, PreconditionFailed)
        return (
            Route(
                method="PATCH", path=one, handler=self.update, permission="leads:write",
                errors=(*errors, Invalid, Conflict), takes_if_match=True,
            ),
            Route(
                method="DELETE", path=one, handler=self.delete, permission="leads:delete",
                status=HTTPStatus.NO_CONTENT, errors=errors, takes_if_match=True,
            ),
            Route(
                method="PUT", path=f"{one}/restoration", handler=self.restore,
                permission="leads:delete", errors=errors, takes_if_match=True,
            ),
            Route(
                method="PUT", path=f"{one}/owner", handler=self.assign, permission="leads:write",
                errors=(*errors, Invalid, Denied), takes_if_match=True,
            ),
            Route(
                method="PUT", path=f"{one}/tags/{{tag}}", handler=self.tag,
                permission="leads:write", errors=(*errors, Invalid, Conflict),
                takes_if_match=True,
            ),
            Route(
                method="DELETE", path=f"{one}/tags/{{tag}}", handler=self.untag,
                permission="leads:write", errors=(*errors, Invalid), takes_if_match=True,
            ),
            Route(
                method="GET", path="/v1/deleted-leads", handler=self.list_deleted,
                permission="leads:read",
            ),
            Route(method="GET", path="/v1/tags", handler=self.list_tags, permission="leads:read"),
        )  # fmt: skip

    def _routes_of_merges(self) -> tuple[Route, ...]:
        path = "/v1/leads/{leadId}/merge"
        errors = (NotFound, PreconditionFailed)
        return (
            Route(
                method="POST", path=path, handler=self.merge, permission="leads:write",
                errors=(*errors, Conflict), takes_if_match=True,
            ),
            Route(
                method="DELETE", path=path, handler=self.unmerge, permission="leads:write",
                status=HTTPStatus.NO_CONTENT, errors=errors, takes_if_match=True,
            ),
        )  # fmt: skip

    def _routes_of_work(self) -> tuple[Route, ...]:
        errors = (NotFound, PreconditionFailed, Invalid)
        return (
            Route(
                method="POST", path="/v1/leads/{leadId}/enrich", handler=self.enrich,
                permission="leads:write", status=HTTPStatus.ACCEPTED, errors=errors,
                takes_if_match=True,
            ),
            Route(
                method="POST", path="/v1/leads/{leadId}/score", handler=self.score,
                permission="leads:write", status=HTTPStatus.ACCEPTED, errors=errors,
                takes_if_match=True,
            ),
        )  # fmt: skip

    async def update(self, lead_id: UUID, body: LeadChange, caller: Caller) -> LeadView:
        """Correct a lead: your word wins over any provider's; null says that there is no value."""

        async def do(uow: UnitOfWork) -> LeadView:
            event = await self._changes.update(uow.tx, lead_id, body, editor_of(caller))
            await _tell(uow, event)
            services = self._node.services
            return await LeadService(services.ids, services.clock).get(uow.tx, lead_id)

        return await run_once(self._node.services, caller, LeadView, do)

    async def delete(self, lead_id: UUID, caller: Caller) -> None:
        """Delete a lead: out of lists, nothing more is done or sent; it can be restored."""

        async def do(uow: UnitOfWork) -> None:
            event = await self._changes.delete(uow.tx, lead_id, editor_of(caller))
            await _tell(uow, event)
            await uow.record(_entry("lead.deleted", event.lead_id))

        await run_once(self._node.services, caller, type(None), do)

    async def restore(self, lead_id: UUID, caller: Caller) -> LeadStanding:
        """Bring a deleted lead back; one that is there stays as it is."""

        async def change(uow: UnitOfWork, editor: Editor) -> LeadChanged | None:
            event = await self._changes.restore(uow.tx, lead_id, editor)
            if event is not None:
                await uow.record(_entry("lead.restored", event.lead_id))
            return event

        return await self._stand(lead_id, caller, change)

    async def assign(self, lead_id: UUID, body: NewOwner, caller: Caller) -> LeadStanding:
        """Give a lead to somebody of the team, or (null) to nobody."""
        owner = await require_owner(self._node, body.owner_id)

        async def change(uow: UnitOfWork, editor: Editor) -> LeadChanged | None:
            return await self._changes.assign(uow.tx, lead_id, owner, editor)

        return await self._stand(lead_id, caller, change)

    async def tag(self, lead_id: UUID, tag: TagText, caller: Caller) -> LeadStanding:
        """Give a lead a tag: lower case, at most 40 characters, at most 50 a lead."""

        async def change(uow: UnitOfWork, editor: Editor) -> LeadChanged | None:
            return await self._changes.tag(uow.tx, lead_id, tag, editor)

        return await self._stand(lead_id, caller, change)

    async def untag(self, lead_id: UUID, tag: TagText, caller: Caller) -> LeadStanding:
        """Take a tag from a lead; one that it does not have changes nothing."""

        async def change(uow: UnitOfWork, editor: Editor) -> LeadChanged | None:
            return await self._changes.untag(uow.tx, lead_id, tag, editor)

        return await self._stand(lead_id, caller, change)

    async def list_tags(self, caller: Caller) -> list[TagCount]:
        """List the tags in use with how many leads have each, at most 1,000 tags."""
        return await self._changes.list_tags(self._node.services.db, editor_of(caller).mine)

    async def list_deleted(self, query: Paging, caller: Caller) -> Listed[DeletedLead]:
        """List deleted leads, the last deleted first: what can be restored."""
        place = query.position_in(BY_DELETION, DeletionPlace)
        before = None if place is None else (place.at, place.id)
        found = await self._changes.list_deleted(
            self._node.services.db, editor_of(caller).mine, before, query.fetch_limit
        )
        return make_page(
            query.skip(found), query, lambda lead: DeletionPlace(lead.deleted_at, lead.id),
            sort=BY_DELETION,
        )  # fmt: skip

    async def merge(self, lead_id: UUID, body: MergeInto, caller: Caller) -> Merged:
        """Say that two leads are one person: the older one stands for both, nothing is lost."""

        async def do(uow: UnitOfWork) -> Merged:
            event = await self._changes.merge(uow.tx, lead_id, body.into_id, editor_of(caller))
            await _tell(uow, event)
            told = {"survivorId": str(event.survivor_id)}
            await uow.record(_entry("lead.merged", event.lead_id, told))
            return Merged(survivor_id=event.survivor_id, merged_id=event.lead_id)

        return await run_once(self._node.services, caller, Merged, do)

    async def unmerge(self, lead_id: UUID, caller: Caller) -> None:
        """Say that a merged lead is somebody else; the two are never merged by themselves again."""

        async def do(uow: UnitOfWork) -> None:
            event = await self._changes.unmerge(uow.tx, lead_id, editor_of(caller))
            await _tell(uow, event)
            told = {"survivorId": str(event.survivor_id)}
            await uow.record(_entry("lead.unmerged", event.lead_id, told))

        await run_once(self._node.services, caller, type(None), do)

    async def enrich(self, lead_id: UUID, body: EnrichWish, caller: Caller) -> RunStarted:
        """Ask the providers for what is missing of a lead, then score it: a run of one."""
        icp_id = await self._node.services.icps.resolve_version(body.icp_id)
        limits = RunLimits(sends=body.sends, providers=body.providers, cap_micros=body.cap_micros)
        title = "one lead enriched by the API"
        return await self._start(
            lead_id,
            limits,
            title,
            lambda lead: EnrichmentWanted(lead, icp_id, body.force),
            caller,
        )

    async def score(self, lead_id: UUID, body: ScoreWish, caller: Caller) -> RunStarted:
        """Score a lead anew by what is known of it; nothing is asked outside, nothing is sent."""
        icp_id = await self._node.services.icps.resolve_version(body.icp_id)
        return await self._start(
            lead_id,
            NO_SPENDING,
            "one lead scored by the API",
            lambda lead: RescoreWanted(lead, icp_id),
            caller,
        )

    async def _start(
        self,
        lead_id: UUID,
        limits: RunLimits,
        title: str,
        event_of: Callable[[UUID], Event],
        caller: Caller,
    ) -> RunStarted:
        async def do(uow: UnitOfWork) -> RunStarted:
            editor = editor_of(caller)
            lead = await self._changes.require_visible(uow.tx, lead_id, editor)
            run_id = await self._node.services.runs.open_run(uow.tx, "lead", limits, title=title)
            (job_id,) = await uow.publication.publish(
                [event_of(lead.id)],
                run_id=run_id,
                request_id=caller.request_id,
                trace_parent=caller.trace_parent,
            )
            return RunStarted(run_id=run_id, job_id=job_id)

        return await run_once(self._node.services, caller, RunStarted, do)

    async def _stand(
        self, lead_id: UUID, caller: Caller, change: Change[LeadChanged]
    ) -> LeadStanding:
        """Do a change and show the lead's row since."""

        async def do(uow: UnitOfWork) -> LeadStanding:
            editor = editor_of(caller)
            await _tell(uow, await change(uow, editor))
            seen = msgspec.structs.replace(editor, if_match=None, mine=None)
            return LeadStanding.of(await self._changes.require_visible(uow.tx, lead_id, seen))

        return await run_once(self._node.services, caller, LeadStanding, do)


def _entry(action: str, lead_id: UUID, detail: Mapping[str, object] | None = None) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="lead", subject_id=str(lead_id), detail=detail or {}
    )


async def _tell(uow: UnitOfWork, event: LeadChanged | None) -> None:
    """Publish what changed, if anything did."""
    if event is not None:
        await uow.publication.publish([event])
