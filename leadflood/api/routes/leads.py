"""Leads over HTTP: bring one in, look at one."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import PartialResponse
from leadflood.api.http.routing import Route
from leadflood.api.lead_desk import LeadDesk, LeadMade, Order
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.lead_views.schemas import LeadDetail
from leadflood.domain.leads.schemas import LeadInput
from leadflood.engine.errors import Conflict, Invalid, NotFound

Providers = tuple[Annotated[str, msgspec.Meta(max_length=40)], ...]
Cap = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class NewLead(LeadInput, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A lead to bring in: enriched, scored and drafted for at once.

    `icpId` null means the newest ICP. `sends` says what may be sent for it, `providers` who may
    be asked (null: all), `capMicros` the most it may cost (null: the cap of the settings).
    """

    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None


class Leads:
    """The routes of leads."""

    def __init__(self, desk: LeadDesk) -> None:
        self._desk = desk

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="POST", path="/v1/leads", handler=self.create, permission="leads:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict),
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}", handler=self.get,
                permission="leads:read", errors=(NotFound,), shows=LeadDetail, shows_more=True,
            ),
        )  # fmt: skip

    async def create(self, body: NewLead, caller: Caller) -> LeadMade:
        """Bring a lead in: one run of one lead, enriched and scored at once."""
        order = Order(
            caller=caller,
            given=body,
            icp_id=body.icp_id,
            sends=body.sends,
            providers=body.providers,
            cap_micros=body.cap_micros,
        )
        return await self._desk.bring_in(order)

    async def get(self, lead_id: UUID, caller: Caller) -> Any:
        """Show a lead: values, provenance, records, score with contributions, messages."""
        page = await self._desk.find(lead_id)
        mine = caller.principal.sees_owner
        if page is None or (mine is not None and page.lead.owner != str(mine)):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return PartialResponse(page.lead, page.body)
