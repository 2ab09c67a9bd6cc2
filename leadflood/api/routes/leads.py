"""Leads over HTTP: create one, look at one."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import PartialResponse
from leadflood.api.http.routing import get, post
from leadflood.api.lead_batches import LeadBatches
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.lead_views.schemas import LeadDetail
from leadflood.domain.leads.schemas.inputs import CreatedLead, LeadInput
from leadflood.domain.leads.service.creation import LeadOrder
from leadflood.domain.leads.service.insertion import Requester
from leadflood.domain.leads.service.leads import lead_not_found
from leadflood.domain.runs.schemas import RunCap, Sends
from leadflood.engine.errors import Conflict, Invalid, NotFound

Providers = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=40)], ...], msgspec.Meta(max_length=50)
]


class NewLead(LeadInput, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A lead to bring in: enriched, scored and drafted for at once.

    `icpId` null means the newest ICP. `sends` says what may be sent for it, `providers` who may
    be asked (null: all), `capMicros` the most it may cost (null: the cap of the settings).
    """

    icp_id: UUID | None = None
    sends: Sends = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: RunCap | None = None


@post(
    "/v1/leads",
    permission="leads:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, NotFound, Conflict),
    commits_itself="requests that come together share one transaction",
)
async def create_lead(body: NewLead, caller: Caller, batches: LeadBatches) -> CreatedLead:
    """Bring a lead in: one run of one lead, enriched and scored at once."""
    order = LeadOrder(
        input=body,
        icp_id=body.icp_id,
        sends=body.sends,
        providers=body.providers,
        cap_micros=body.cap_micros,
        requester=requester_of(caller),
    )
    return await batches.create(caller, order)


@get(
    "/v1/leads/{leadId}",
    permission="leads:read",
    errors=(NotFound,),
    shows=LeadDetail,
    shows_more=True,
)
async def get_lead(lead_id: UUID, caller: Caller, batches: LeadBatches) -> Any:
    """Show a lead: values, provenance, records, score with contributions, messages."""
    page = await batches.find(lead_id)
    if page is None or not page.is_visible_to(caller.visibility):
        raise lead_not_found(lead_id)
    return PartialResponse(page.lead, page.body)


def requester_of(caller: Caller) -> Requester:
    """Return who asks for a new lead; a user's leads are their own."""
    user_id = caller.principal.user_id
    return Requester(
        by=caller.by,
        owner=None if user_id is None else str(user_id),
        visibility=caller.visibility,
        opener=caller.opener,
        request_id=caller.request_id,
        trace_parent=caller.trace_parent,
    )
