"""Bulk actions over HTTP: preview, start, watch, cancel and undo one action on many leads."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse, json_response
from leadflood.api.http.routing import get, post, put
from leadflood.api.http.unit_of_work import LateUnitOfWork, UnitOfWork
from leadflood.api.routes.lead_actions import TagText
from leadflood.api.routes.lead_list import LeadFilterQuery
from leadflood.api.routes.leads import Providers
from leadflood.api.services import Services
from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.bulk_actions.schemas import (
    MOST_LEADS,
    BulkAction,
    BulkPreview,
    BulkRequest,
    BulkView,
    NewBulkAction,
    Parameters,
    StartedAction,
)
from leadflood.domain.runs.schemas import NO_SPENDING, RunCap, RunLimits, RunOpener, Sends
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound

_BY_ALL = frozenset({"action", "ids", "filter", "preview", "expected_count"})
"""The fields of a request that are no parameters of its action."""


class BulkBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """An action and its leads: those named by `ids`, or all that fit `filter` (one of both).

    `ownerId` goes with assign (null: nobody), `tag` with tag and untag, `icpId` with enrich and
    score (null: the newest ICP), `sends`, `providers`, `capMicros` and `force` with enrich as for
    one lead. `preview`: tell what would happen, change nothing. `expectedCount`: begin only if so
    many leads are meant.
    """

    action: BulkAction
    ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=10_000)] | None = None
    filter: Annotated[LeadFilterQuery | None, needs(Permission.LEADS_READ)] = None
    owner_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    tag: TagText | msgspec.UnsetType = msgspec.UNSET
    icp_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    sends: Sends | msgspec.UnsetType = msgspec.UNSET
    providers: Providers | msgspec.UnsetType | None = msgspec.UNSET
    cap_micros: RunCap | msgspec.UnsetType | None = msgspec.UNSET
    force: bool | msgspec.UnsetType = msgspec.UNSET
    preview: Annotated[bool, needs(Permission.LEADS_READ, "true")] = False
    expected_count: Annotated[int, msgspec.Meta(ge=0, le=MOST_LEADS)] | None = None


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bulk action has begun: `runId` names it, `jobId` is its first chunk.

    Both null for a preview, which tells what would happen; `preview` null: it has begun.
    """

    count: int
    run_id: UUID | None = None
    job_id: UUID | None = None
    preview: BulkPreview | None = None


@post(
    "/v1/leads/bulk",
    permission="leads:write",
    status=HTTPStatus.ACCEPTED,
    shows=BulkAnswer,
    also=(HTTPStatus.OK,),
    errors=(Invalid, NotFound, Conflict, Denied),
)
async def start_bulk_action(
    body: BulkBody, caller: Caller, services: Services, late_uow: LateUnitOfWork[RawResponse]
) -> RawResponse:
    """Delete, restore, assign, tag, untag, enrich or score many leads; or preview that."""
    services.bulk.require_may_start(_show_request(body), caller.principal)
    new = await _read_action(body, caller, services)
    if body.preview:
        preview = await services.bulk.preview(new)
        return json_response(BulkAnswer(count=preview.count, preview=preview), HTTPStatus.OK)

    async def start(uow: UnitOfWork) -> RawResponse:
        started = await services.bulk.start(uow, new, body.expected_count)
        await uow.audit("bulk.started", started.run_id, **_describe(new, started.count))
        return json_response(_answer(started), HTTPStatus.ACCEPTED)

    return await late_uow.run(start)


@get("/v1/bulk/{runId}", permission="leads:read", errors=(NotFound,))
async def get_bulk_action(run_id: UUID, caller: Caller, services: Services) -> BulkView:
    """Show how far a bulk action is, and what it was not done for."""
    return await services.bulk.get(run_id, caller.principal)


@put("/v1/bulk/{runId}/cancellation", permission="leads:write", errors=(NotFound,))
async def cancel_bulk_action(
    run_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> BulkView:
    """Stop a bulk action where it is; what is done stays done and can be undone."""
    if await services.bulk.cancel(uow.tx, run_id, caller.principal):
        await uow.audit("bulk.cancelled", run_id)
    return await services.bulk.get(run_id, caller.principal, uow.tx)


@post(
    "/v1/bulk/{runId}/undo",
    permission="leads:write",
    status=HTTPStatus.ACCEPTED,
    errors=(NotFound, Conflict, Denied),
)
async def undo_bulk_action(
    run_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> BulkAnswer:
    """Restore each lead as it was before, except those changed since: they are listed."""
    started = await services.bulk.undo(uow, run_id, caller.principal)
    await uow.audit("bulk.undone", started.run_id, undoes=str(run_id), count=started.count)
    return _answer(started)


async def _read_action(body: BulkBody, caller: Caller, services: Services) -> NewBulkAction:
    return NewBulkAction(
        action=body.action,
        parameters=await _read_parameters(body, services),
        lead_ids=await _select_leads(body, caller, services),
        by=caller.by,
        limits=_read_limits(body, caller.opener),
        filter_text=None if body.filter is None else _compact(body.filter),
        visibility=caller.visibility,
    )


async def _read_parameters(body: BulkBody, services: Services) -> Parameters:
    if body.action in {BulkAction.ENRICH, BulkAction.SCORE}:
        icp_id = await services.icps.resolve_version(body.icp_id or None)
        return Parameters(icp_id=icp_id, is_forced=body.force is True)
    if body.action is BulkAction.ASSIGN:
        return Parameters(owner=await services.lead_owners.resolve(body.owner_id or None))
    return Parameters(tag=normalize_tag(body.tag)) if body.tag else Parameters()


async def _select_leads(body: BulkBody, caller: Caller, services: Services) -> Sequence[UUID]:
    """Return the leads meant, each once."""
    if body.filter is None:
        return tuple(dict.fromkeys(body.ids or ()))
    return await services.bulk.select_leads(body.filter.filter_for(caller))


def _read_limits(body: BulkBody, opener: RunOpener) -> RunLimits:
    if body.action is not BulkAction.ENRICH:
        return msgspec.structs.replace(NO_SPENDING, opener=opener)
    return RunLimits(
        sends=body.sends or SendsPolicy.HOLD,
        providers=None if body.providers is msgspec.UNSET else body.providers,
        cap_micros=None if body.cap_micros is msgspec.UNSET else body.cap_micros,
        opener=opener,
    )


def _show_request(body: BulkBody) -> BulkRequest:
    """Return what a request names, for its rules."""
    names = frozenset(
        field.encode_name
        for field in msgspec.structs.fields(body)
        if field.name not in _BY_ALL and getattr(body, field.name) is not msgspec.UNSET
    )
    return BulkRequest(
        action=body.action,
        parameters=names,
        has_ids=body.ids is not None,
        has_filter=body.filter is not None,
    )


def _describe(new: NewBulkAction, count: int) -> dict[str, object]:
    return {
        "action": new.action.value,
        "count": count,
        "filter": None if new.filter_text is None else msgspec.json.decode(new.filter_text),
        "parameters": msgspec.to_builtins(new.parameters),
    }


def _compact(lead_filter: LeadFilterQuery) -> str:
    """Write a filter without what it does not ask for."""
    values = msgspec.to_builtins(lead_filter)
    return msgspec.json.encode(
        {name: value for name, value in values.items() if value is not None}
    ).decode()


def _answer(started: StartedAction) -> BulkAnswer:
    return BulkAnswer(count=started.count, run_id=started.run_id, job_id=started.job_id)
