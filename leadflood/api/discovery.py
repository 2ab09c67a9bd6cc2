"""Discovery runs over HTTP: start, watch, cancel."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.icp import Icps
from leadflood.api.idempotency import remembered
from leadflood.api.leads import Cap, Providers
from leadflood.api.listing import Listed, Paging, listed
from leadflood.api.route import Route
from leadflood.contracts.values import Micros, SendsPolicy
from leadflood.domain.discovery.schemas import DiscoveryState, NewDiscovery
from leadflood.domain.icp.schemas import query_of
from leadflood.domain.overview.schemas import Funnel, RunSummary
from leadflood.domain.overview.service import OverviewService
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun, Run


class DiscoveryBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A discovery to start.

    `icpId` null means the newest ICP; `provider` empty the first that can search. `providers`
    are those that may be paid in this run (null: all). Caps null: those of the settings.
    """

    icp_id: UUID | None = None
    kind: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.-]{0,39}$")] = "discovery"
    provider: Annotated[str, msgspec.Meta(max_length=40)] = ""
    max_leads: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None
    lead_cap_micros: Cap | None = None


class RunQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which runs; null asks for nothing. `state` is that of the whole run."""

    icp_id: UUID | None = None
    state: Literal["running", "completed", "cancelled"] | None = None


class DiscoveryMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery has begun; `jobId` is its first page."""

    run_id: UUID
    job_id: UUID


class RunDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery run: what may be done for it, what its pages brought, how far its leads are.

    `state` is that of the search, `runState` that of the whole run (running, completed,
    cancelled). `code` null: nothing went wrong. `progressRatio` null: nothing is found yet.
    """

    id: UUID
    icp_id: UUID
    kind: str
    title: str
    provider: str
    state: DiscoveryState
    run_state: str
    code: str | None
    sends: str
    providers: tuple[str, ...] | None
    cap_micros: Micros | None
    lead_cap_micros: Micros | None
    wanted_count: int
    lead_count: int
    page_count: int
    discovered_count: int
    duplicate_count: int
    rejected_count: int
    error_count: int
    total_count: int | None
    search_cost_micros: Micros
    progress: Funnel
    progress_ratio: float | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run after its cancellation; not `isCancelled`: it had ended before."""

    run_id: UUID
    is_cancelled: bool
    state: str


class Discoveries:
    """The routes of discovery runs."""

    def __init__(self, node: Node, icps: Icps) -> None:
        self._node = node
        self._icps = icps

    @property
    def _overview(self) -> OverviewService:
        return OverviewService(self._node.storage.db)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/discovery/runs", "/v1/discovery/runs/{runId}"
        return (
            Route(
                method="POST", path=path, handler=self.start, permission="discovery:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict, NotConfigured),
                is_idempotent=True,
            ),
            Route(method="GET", path=path, handler=self.list, permission="discovery:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="discovery:read",
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=f"{one}/cancellation", handler=self.cancel,
                permission="discovery:write", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def start(self, body: DiscoveryBody, caller: Caller) -> DiscoveryMade:
        """Start looking for the people an ICP describes."""
        icp_id = await self._icps.choose(body.icp_id)
        clock = self._node.storage.clock
        async with self._node.publisher.transaction() as publication:
            async with remembered(publication.tx, caller, DiscoveryMade, clock) as memory:
                if memory.answer is None:
                    new = await self._plan(body, icp_id)
                    await runs.create(publication.tx, self._run_of(body, new.run_id), clock.now())
                    page = await self._node.discovery.start(publication.tx, new)
                    (job_id,) = await publication.publish(
                        [page], run_id=new.run_id, request_id=caller.request_id
                    )
                    memory.answer = DiscoveryMade(run_id=new.run_id, job_id=job_id)
            made: DiscoveryMade = memory.answer
        return made

    async def _plan(self, body: DiscoveryBody, icp_id: UUID) -> NewDiscovery:
        storage = self._node.storage
        icp = await storage.icps.get(icp_id)
        sources = self._node.discovery.sources
        if not sources and not body.provider:
            raise NotConfigured(
                "no provider that can search for people is configured: set"
                " providers.apollo.api_key (LEADFLOOD_PROVIDERS__APOLLO__API_KEY)"
            )
        return NewDiscovery(
            run_id=storage.ids.new(),
            icp_id=icp_id,
            provider=body.provider or next(iter(sources), ""),
            query=query_of(icp),
            wanted_count=body.max_leads,
        )

    def _run_of(self, body: DiscoveryBody, run_id: UUID) -> NewRun:
        budget = self._node.storage.settings.budget
        cap, lead_cap = body.cap_micros, body.lead_cap_micros
        return NewRun(
            id=run_id, kind=body.kind, title=f"{body.max_leads} leads by the API",
            sends=body.sends.value, providers=body.providers,
            cap_micros=budget.run_micros if cap is None else cap,
            lead_cap_micros=budget.lead_micros if lead_cap is None else lead_cap,
        )  # fmt: skip

    async def get(self, run_id: UUID) -> RunDetail:
        """Show a discovery run with its counts and the progress of its leads."""
        db = self._node.storage.db
        view = await self._node.discovery.get(db, run_id)
        run = await runs.get(db, run_id)
        funnel = await self._overview.count_funnel(run_id)
        return RunDetail(
            id=run_id, icp_id=view.icp_id, kind=run.kind, title=run.title,
            provider=view.provider, state=view.state, run_state=run.state, code=view.code,
            sends=run.sends, providers=run.providers, cap_micros=run.cap_micros,
            lead_cap_micros=run.lead_cap_micros, wanted_count=view.wanted_count,
            lead_count=view.lead_count, page_count=view.page_count,
            discovered_count=view.discovered_count, duplicate_count=view.duplicate_count,
            rejected_count=view.rejected_count, error_count=view.error_count,
            total_count=view.total_count, search_cost_micros=view.cost_micros,
            progress=funnel, progress_ratio=_ratio(funnel, run), created_at=view.created_at,
            updated_at=view.updated_at, ended_at=run.ended_at,
        )  # fmt: skip

    async def list(self, query: RunQuery) -> Listed[RunSummary]:
        """List discovery runs, newest first."""
        found = await self._overview.list_discovery_runs(
            query.icp_id, query.state, query.place(), query.limit + 1
        )
        return listed(found, query, lambda run: run.id)

    async def cancel(self, run_id: UUID, caller: Caller) -> Cancellation:
        """Cancel a run: its waiting jobs are swept, what is at work is finished."""
        storage = self._node.storage
        done = await runs.cancel(storage.db, run_id, caller.by, storage.clock.now())
        run = await runs.get(storage.db, run_id)
        return Cancellation(run_id=run_id, is_cancelled=done or run.cancelled, state=run.state)


def _ratio(funnel: Funnel, run: Run) -> float | None:
    if run.state != "running":
        return 1.0
    return (funnel.scored + funnel.failed) / funnel.found if funnel.found else None
