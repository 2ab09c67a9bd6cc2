"""Opt-ins over HTTP: which channels a lead has agreed to, and what proves it."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, put
from leadflood.api.http.unit_of_work import Subject, UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.domain.suppressions.schemas import OptInView
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed

PATH = "/v1/leads/{leadId}/opt-ins/{channel}"


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an agreement is withdrawn; empty: no reason given."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


@put(
    PATH,
    permission="leads:write",
    errors=(NotFound, PreconditionFailed, Conflict, Invalid),
    takes_if_match=True,
)
async def record_opt_in(
    lead_id: UUID,
    channel: Channel,
    body: OptInEvidence,
    caller: Caller,
    services: Services,
    uow: UnitOfWork,
) -> OptInView:
    """Write down that the person agreed to a channel, with what proves it.

    It holds for the address the lead has now. A newer agreement takes the place of the older
    one, which stays on record.
    """
    await services.lead_editing.require_visible(uow.tx, lead_id, caller.editor)
    opt_in = await services.opt_ins.record(uow, lead_id, channel, body, caller.by)
    await uow.audit("opt_in.recorded", Subject("lead", lead_id), channel=channel)
    return opt_in


@delete(
    PATH,
    permission="leads:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, PreconditionFailed),
    takes_if_match=True,
)
async def withdraw_opt_in(
    lead_id: UUID,
    channel: Channel,
    query: Withdrawal,
    caller: Caller,
    services: Services,
    uow: UnitOfWork,
) -> None:
    """Write down that the person took their agreement back: nothing more is sent there."""
    await services.lead_editing.require_visible(uow.tx, lead_id, caller.editor)
    await services.opt_ins.withdraw(uow, lead_id, channel, caller.by, query.reason)
    await uow.audit("opt_in.withdrawn", Subject("lead", lead_id), channel=channel)
