"""Lists of leads over HTTP, and what happened to one of them."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Node
from leadflood.api.events import show_payload
from leadflood.api.listing import Listed, Paging, listed
from leadflood.api.route import Route
from leadflood.contracts.values import Band
from leadflood.domain.leads.schemas import LeadStatus
from leadflood.domain.leads.service import LeadService
from leadflood.domain.overview.schemas import LeadEvent, LeadFilter, LeadSummary
from leadflood.domain.overview.service import OverviewService
from leadflood.engine.errors import NotFound

Short = Annotated[str, msgspec.Meta(max_length=320)]


class LeadQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which leads; null asks for nothing. `minScore` is in points (0 to 100)."""

    status: LeadStatus | None = None
    band: Band | None = None
    min_score: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    source: Short | None = None
    owner: Short | None = None
    country: Short | None = None
    email: Short | None = None
    company_domain: Short | None = None


class LeadLists:
    """The routes that list leads and what happened to them."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _leads(self) -> LeadService:
        return LeadService(self._node.storage.ids, self._node.storage.clock)

    @property
    def _overview(self) -> OverviewService:
        return OverviewService(self._node.storage.db)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/leads", handler=self.list, permission="leads:read",
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}/timeline", handler=self.timeline,
                permission="leads:read", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: LeadQuery) -> Listed[LeadSummary]:
        """List leads with their newest score, newest first; merged ones stand for themselves."""
        wanted = LeadFilter(
            status=query.status,
            band=query.band,
            min_milli=None if query.min_score is None else round(query.min_score * 1000),
            icp_id=query.icp_id,
            run_id=query.run_id,
            source=query.source,
            owner=query.owner,
            country=None if query.country is None else query.country.upper(),
            email=None if query.email is None else query.email.strip().lower(),
            company_domain=None if query.company_domain is None else query.company_domain.lower(),
        )
        found = await self._overview.list_leads(wanted, query.place(), query.limit + 1)
        total = await self._overview.count_leads(wanted)
        return listed(found, query, lambda lead: lead.id, total)

    async def timeline(self, lead_id: UUID, query: Paging) -> Listed[LeadEvent]:
        """Show what happened to a lead, newest first."""
        view = await self._leads.get(self._node.storage.db, lead_id)
        found = await self._overview.list_lead_events(view.id, query.place(), query.limit + 1)
        shown = [
            msgspec.structs.replace(event, payload=show_payload(event.payload)) for event in found
        ]
        return listed(shown, query, lambda event: event.id)
