"""Discovery runs over HTTP: start, watch, cancel, look into."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate, read_cursor, write_cursor
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse, created_or_existing
from leadflood.api.http.routing import get, post, put
from leadflood.api.http.unit_of_work import LateUnitOfWork, Subject, UnitOfWork
from leadflood.api.routes.leads import Providers
from leadflood.api.routes.runs import Cancellation, RunState, record_cancellation
from leadflood.api.services import Services
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.field_rights import at_most
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.discovery.schemas import (
    DiscoveryInspection,
    DiscoveryRunDetail,
    DiscoveryRunFilter,
    DiscoveryRunSummary,
    DiscoveryState,
    PageView,
    RecordFilter,
    RecordStatus,
    RecordView,
    SearchPlan,
    SearchRequest,
    StartedDiscovery,
)
from leadflood.domain.runs.schemas import LeadCap, RunCap, RunLimits, Sends
from leadflood.engine.errors import Conflict, Denied, Invalid, NotConfigured, NotFound

DiscoveryKind = Literal["discovery", "search"]
ProviderName = Annotated[str, msgspec.Meta(max_length=40)]
MaxLeads = Annotated[
    int,
    msgspec.Meta(ge=1, le=1_000_000),
    at_most({Role.SALES_REP: 1_000, Role.MANAGER: 100_000}),
]
_RECORDS = "records"
"""The parts that the cursor of an inspection goes through."""


class SearchLimits(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The limits of a search.

    `providers` are those that may be paid in this run (null: all). Caps null: those of the
    settings. `again` starts another run where the same was asked for within a day.
    """

    max_leads: MaxLeads = 100
    sends: Sends = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: RunCap | None = None
    lead_cap_micros: LeadCap | None = None
    again: bool = False

    def request(self, icp_id: UUID, kind: str, provider: str, caller: Caller) -> SearchRequest:
        """Return a search with these limits; who sees only their own leads owns what it finds."""
        limits = RunLimits(
            sends=self.sends,
            providers=self.providers,
            cap_micros=self.cap_micros,
            lead_cap_micros=self.lead_cap_micros,
            opener=caller.opener,
        )
        return SearchRequest(
            icp_id=icp_id,
            kind=kind,
            provider=provider,
            max_leads=self.max_leads,
            limits=limits,
            visibility=caller.visibility,
            is_repeated=self.again,
        )


class DiscoveryBody(
    SearchLimits, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A discovery to start.

    `icpId` null means the newest ICP; `provider` empty the first that can search. `providers`
    are those that may be paid in this run (null: all). Caps null: those of the settings. `again`
    starts another run where the same was asked for within a day.
    """

    icp_id: UUID | None = None
    kind: DiscoveryKind = "discovery"
    provider: ProviderName = ""


class DiscoveryRunQuery(
    Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which runs; null asks for nothing.

    `icpId` is a version or the ICP itself. `state` is that of the whole run, `searchState` that
    of the search alone.
    """

    icp_id: UUID | None = None
    state: RunState | None = None
    search_state: DiscoveryState | None = None
    provider: ProviderName | None = None
    kind: DiscoveryKind | None = None


class InspectionBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The part of an inspection to show; null: all of it.

    `page` is a page of the source, from 1. `cursor` is the `nextCursor` of the answer before.
    """

    status: RecordStatus | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def position(self) -> int:
        """Return the position behind which to go on. Raises: HttpRefused."""
        position: int = read_cursor(self.cursor, _RECORDS, int) if self.cursor else 0
        if not 0 <= position < 2**31:
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "http.query.invalid",
                "cursor: give the nextCursor of the answer before, unchanged",
            )
        return position


class QueryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Our question, before it is put into a source's words. Empty asks for nothing in particular.

    `companySizes` are pairs of least and most people.
    """

    titles: tuple[str, ...]
    countries: tuple[str, ...]
    industries: tuple[str, ...]
    technologies: tuple[str, ...]
    company_sizes: tuple[tuple[int, int], ...]
    company_domains: tuple[str, ...]
    keywords: str
    page_size: int


class InspectionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The question to a source, its answer, and why each record was kept or refused.

    `query` is our own question; each page tells the request that was made of it. `pages` are
    those the records shown are on, or the first ones where no records are left. `nextCursor`
    null: there are no more records.
    """

    run_id: UUID
    provider: str
    query: QueryView
    state: DiscoveryState
    code: str | None
    page_count: int
    pages: tuple[PageView, ...]
    records: tuple[RecordView, ...]
    next_cursor: str | None

    @staticmethod
    def of(inspection: DiscoveryInspection) -> "InspectionView":
        """Return an inspection as it is shown."""
        discovery, records = inspection.discovery, tuple(inspection.records)
        return InspectionView(
            run_id=discovery.id,
            provider=discovery.provider,
            query=msgspec.convert(discovery.query, QueryView, from_attributes=True),
            state=discovery.state,
            code=discovery.code,
            page_count=discovery.page_count,
            pages=tuple(inspection.pages),
            records=records,
            next_cursor=(
                write_cursor(records[-1].position, _RECORDS) if inspection.has_more else None
            ),
        )


@post(
    "/v1/discovery/runs",
    permission="discovery:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, NotFound, Conflict, NotConfigured),
    shows=StartedDiscovery,
    also=(HTTPStatus.OK,),
)
async def start_discovery(
    body: DiscoveryBody,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[RawResponse],
) -> RawResponse:
    """Start looking for the people an ICP describes, once a day for the same request.

    The same ICP version, source and parameters within a day are the same run: it is answered
    with 200 and `isNew` false, unless it failed or was cancelled, or `again` asks for another.
    """
    icp_id = await services.icps.resolve_version(body.icp_id)
    provider = body.provider or services.discovery.require_sources()[0]
    request = body.request(icp_id, body.kind, provider, caller)
    plan = await services.searches.plan(request)

    async def begin(uow: UnitOfWork) -> RawResponse:
        started = await begin_search(uow, services, plan)
        return created_or_existing(started, is_new=started.is_new)

    return await late_uow.run(begin)


async def begin_search(uow: UnitOfWork, services: Services, plan: SearchPlan) -> StartedDiscovery:
    """Begin a search, with its audit record where it is new."""
    started = await services.searches.begin(uow, plan)
    if started.is_new:
        await uow.audit(
            "discovery.started",
            Subject("run", started.run_id),
            icp=str(plan.discovery.icp_id),
            provider=started.provider,
            max_leads=plan.discovery.wanted_count,
            sends=plan.limits.sends,
            cap_micros=plan.limits.cap_micros,
        )
    return started


@get("/v1/discovery/runs", permission="discovery:read", errors=(NotFound,))
async def list_discovery_runs(
    query: DiscoveryRunQuery, services: Services
) -> Listed[DiscoveryRunSummary]:
    """List discovery runs, newest first."""
    searches = services.searches
    run_filter = DiscoveryRunFilter(
        icp_ids=None if query.icp_id is None else await searches.list_versions(query.icp_id),
        state=query.state,
        search_state=query.search_state,
        provider=query.provider,
        kind=query.kind,
    )
    summaries = await searches.list_runs(run_filter, query.position(), query.fetch_limit)
    return paginate(summaries, query)


@get("/v1/discovery/runs/{runId}", permission="discovery:read", errors=(NotFound,))
async def get_discovery_run(run_id: UUID, services: Services) -> DiscoveryRunDetail:
    """Show a discovery run with its counts and the progress of its leads."""
    return await services.searches.get_detail(run_id)


@put(
    "/v1/discovery/runs/{runId}/cancellation",
    permission="discovery:write",
    errors=(NotFound, Denied),
)
async def cancel_discovery_run(
    run_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> Cancellation:
    """Cancel a discovery run: its waiting jobs are swept, what is at work is finished.

    Those who see only their own leads cancel the runs that they opened.
    """
    cancellation = await services.searches.cancel(uow.tx, run_id, caller.principal)
    return await record_cancellation(uow, cancellation)


@post(
    "/v1/discovery/runs/{runId}/inspect",
    permission="discovery:read",
    errors=(NotFound,),
    idempotent=False,
    reason="it only reads",
)
async def inspect_discovery_run(
    run_id: UUID, body: InspectionBody, caller: Caller, services: Services
) -> InspectionView:
    """Show the question to the source, its answer, and the outcome of each record.

    Those who see only their own leads see other records without their lead and values.
    """
    record_filter = RecordFilter(status=body.status, page=body.page, visibility=caller.visibility)
    inspection = await services.searches.inspect(run_id, record_filter, body.position(), body.limit)
    return InspectionView.of(inspection)
