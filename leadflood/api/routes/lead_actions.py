"""Changing leads that are there: values, owner, tags, deletion, merges, and doing more for one."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post, put
from leadflood.api.http.unit_of_work import LateUnitOfWork, UnitOfWork
from leadflood.api.routes.leads import Providers
from leadflood.api.services import Services
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.leads.schemas.events import LeadChanged
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.schemas.lead_states import DeletedLead, LeadState, TagCount
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.domain.leads.service.reprocessing import (
    EnrichmentRequest,
    ScoringRequest,
    StartedRun,
)
from leadflood.domain.runs.schemas import RunCap, Sends
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed

LEAD = "/v1/leads/{leadId}"
TAG = f"{LEAD}/tags/{{tag}}"
BY_DELETION = "-deletedAt"
TagText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Again = Annotated[bool, needs(Permission.MESSAGES_AGAIN, "true")]
"""Whether somebody who got a first message may get another one."""


class DeletionPosition(msgspec.Struct, frozen=True, array_like=True):
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


class EnrichRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Limits of a lead's reprocessing.

    `icpId` null: scored for the newest ICP afterwards. `providers` null: all may be asked;
    `capMicros` null: the cap of the settings. `force`: what is known is asked for and paid for
    again, whatever answers are kept, but for what a person has decided. `again`: who got a first
    message before may get another one.
    """

    icp_id: UUID | None = None
    sends: Sends = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: RunCap | None = None
    force: bool = False
    again: Again = False


class ScoreRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The ICP to score a lead for; null: the newest.

    `again`: who got a first message before gets another draft, which waits for approval.
    """

    icp_id: UUID | None = None
    again: Again = False


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Work has begun; `jobId` is its first step, `runId` the whole of it."""

    run_id: UUID
    job_id: UUID


class LeadStanding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose a lead is and what its tags are; `owner` null: nobody's, `deletedAt` null: there."""

    id: UUID
    version: int
    owner: Annotated[str | None, needs(Permission.LEADS_READ)]
    tags: Annotated[tuple[str, ...], needs(Permission.LEADS_READ)]
    deleted_at: datetime | None


@patch(
    LEAD,
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Invalid, Conflict),
    takes_if_match=True,
)
async def update_lead(
    lead_id: UUID, body: LeadChange, caller: Caller, services: Services, uow: UnitOfWork
) -> LeadView:
    """Update a lead: your values win over any provider's; null means that there is none.

    One that has a score, or one on its way, is scored anew: free of charge, in a run of its own,
    and nothing is drafted.
    """
    event = await services.lead_editing.update(uow.tx, lead_id, body, caller.editor)
    await _publish(uow, event)
    if event is not None:
        run = await services.lead_reprocessing.score_corrected(uow.tx, event.lead_id, caller.opener)
        if run is not None:
            await uow.publish([run.event], run_id=run.run_id)
    return await services.leads.get(uow.tx, lead_id)


@delete(
    LEAD,
    permission="leads:delete",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, PreconditionFailed),
    takes_if_match=True,
)
async def delete_lead(lead_id: UUID, caller: Caller, services: Services, uow: UnitOfWork) -> None:
    """Delete a lead: out of lists, nothing more is done or sent; it can be restored."""
    event = await services.lead_editing.delete(uow.tx, lead_id, caller.editor)
    await _publish(uow, event)
    await uow.audit("lead.deleted", event.lead_id)


@put(
    f"{LEAD}/restoration",
    permission="leads:delete",
    errors=(NotFound, PreconditionFailed),
    takes_if_match=True,
)
async def restore_lead(
    lead_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> LeadStanding:
    """Bring a deleted lead back; one that is there stays as it is."""
    event = await services.lead_editing.restore(uow.tx, lead_id, caller.editor)
    if event is not None:
        await uow.audit("lead.restored", event.lead_id)
    return await _standing(lead_id, event, services, uow)


@put(
    f"{LEAD}/owner",
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Invalid, Denied),
    takes_if_match=True,
)
async def assign_lead(
    lead_id: UUID, body: NewOwner, caller: Caller, services: Services, uow: UnitOfWork
) -> LeadStanding:
    """Assign a lead to a member of the team, or (null) to nobody."""
    owner = await services.lead_owners.resolve(body.owner_id, uow.tx)
    event = await services.lead_editing.assign(uow.tx, lead_id, owner, caller.editor)
    return await _standing(lead_id, event, services, uow)


@put(
    TAG,
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Invalid, Conflict),
    takes_if_match=True,
)
async def tag_lead(
    lead_id: UUID, tag: TagText, caller: Caller, services: Services, uow: UnitOfWork
) -> LeadStanding:
    """Add a tag to a lead: lower case, at most 40 characters, at most 50 a lead."""
    event = await services.lead_editing.tag(uow.tx, lead_id, tag, caller.editor)
    return await _standing(lead_id, event, services, uow)


@delete(
    TAG,
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Invalid),
    takes_if_match=True,
)
async def untag_lead(
    lead_id: UUID, tag: TagText, caller: Caller, services: Services, uow: UnitOfWork
) -> LeadStanding:
    """Take a tag from a lead; one that it does not have changes nothing."""
    event = await services.lead_editing.untag(uow.tx, lead_id, tag, caller.editor)
    return await _standing(lead_id, event, services, uow)


@get("/v1/deleted-leads", permission="leads:read")
async def list_deleted_leads(
    query: Paging, caller: Caller, services: Services
) -> Listed[DeletedLead]:
    """List deleted leads, the last deleted first: what can be restored."""
    position = query.position_in(BY_DELETION, DeletionPosition)
    before = None if position is None else (position.at, position.id)
    leads = await services.leads.list_deleted(
        services.db, caller.visibility, before, query.fetch_limit
    )
    return make_page(
        query.skip(leads),
        query,
        lambda lead: DeletionPosition(lead.deleted_at, lead.id),
        sort=BY_DELETION,
    )


@get("/v1/tags", permission="leads:read")
async def list_tags(caller: Caller, services: Services) -> list[TagCount]:
    """List the tags in use with how many leads have each, at most 1,000 tags."""
    return await services.leads.list_tags(services.db, caller.visibility)


@post(
    f"{LEAD}/merge",
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Conflict),
    takes_if_match=True,
)
async def merge_leads(
    lead_id: UUID, body: MergeInto, caller: Caller, services: Services, uow: UnitOfWork
) -> Merged:
    """Merge two leads that are one person: the older one stands for both, nothing is lost."""
    event = await services.lead_merging.merge(uow.tx, lead_id, body.into_id, caller.editor)
    await _publish(uow, event)
    await uow.audit("lead.merged", event.lead_id, survivor_id=str(event.survivor_id))
    return Merged(survivor_id=event.survivor_id, merged_id=event.lead_id)


@delete(
    f"{LEAD}/merge",
    permission="leads:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, PreconditionFailed),
    takes_if_match=True,
)
async def unmerge_lead(lead_id: UUID, caller: Caller, services: Services, uow: UnitOfWork) -> None:
    """Unmerge a lead that is somebody else; the two are never merged by themselves again."""
    event = await services.lead_merging.unmerge(uow.tx, lead_id, caller.editor)
    await _publish(uow, event)
    await uow.audit("lead.unmerged", event.lead_id, survivor_id=str(event.survivor_id))


@post(
    f"{LEAD}/enrich",
    permission="leads:write",
    status=HTTPStatus.ACCEPTED,
    errors=(NotFound, PreconditionFailed, Invalid),
    takes_if_match=True,
)
async def enrich_lead(
    lead_id: UUID,
    body: EnrichRequest,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[RunStarted],
) -> RunStarted:
    """Ask the providers for what is missing of a lead, then score it: a run of one."""
    request = EnrichmentRequest(
        icp_id=await services.icps.resolve_version(body.icp_id),
        sends=body.sends,
        providers=body.providers,
        cap_micros=body.cap_micros,
        is_forced=body.force,
        repeats=body.again,
        opener=caller.opener,
    )

    async def enrich(uow: UnitOfWork) -> RunStarted:
        run = await services.lead_reprocessing.enrich(uow.tx, lead_id, request, caller.editor)
        return await _start(uow, run, repeats=body.again)

    return await late_uow.run(enrich)


@post(
    f"{LEAD}/score",
    permission="leads:write",
    status=HTTPStatus.ACCEPTED,
    errors=(NotFound, PreconditionFailed, Invalid),
    takes_if_match=True,
)
async def score_lead(
    lead_id: UUID,
    body: ScoreRequest,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[RunStarted],
) -> RunStarted:
    """Score a lead anew by what is known of it; nothing is asked outside, nothing is sent."""
    request = ScoringRequest(
        icp_id=await services.icps.resolve_version(body.icp_id),
        repeats=body.again,
        opener=caller.opener,
    )

    async def score(uow: UnitOfWork) -> RunStarted:
        run = await services.lead_reprocessing.score(uow.tx, lead_id, request, caller.editor)
        return await _start(uow, run, repeats=body.again)

    return await late_uow.run(score)


async def _start(uow: UnitOfWork, run: StartedRun, *, repeats: bool) -> RunStarted:
    if repeats:
        await uow.audit("lead.again_requested", run.event.lead_id, run=str(run.run_id))
    (job_id,) = await uow.publish([run.event], run_id=run.run_id)
    return RunStarted(run_id=run.run_id, job_id=job_id)


async def _standing(
    lead_id: UUID, event: LeadChanged | None, services: Services, uow: UnitOfWork
) -> LeadStanding:
    """Publish what changed and show the lead's row since."""
    await _publish(uow, event)
    lead: LeadState = await services.leads.get_state(uow.tx, lead_id)
    return msgspec.convert(lead, LeadStanding, from_attributes=True)


async def _publish(uow: UnitOfWork, event: LeadChanged | None) -> None:
    if event is not None:
        await uow.publish([event])
