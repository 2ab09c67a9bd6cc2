"""Discovery: searches for the people that an ICP describes, at one source each."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.discovery import repository
from leadflood.domain.discovery.rules import hash_request
from leadflood.domain.discovery.schemas import (
    DiscoveryInspection,
    DiscoveryRunDetail,
    DiscoveryRunFilter,
    DiscoveryRunSummary,
    DiscoveryView,
    EarlierDiscovery,
    NewDiscovery,
    PageWanted,
    RecordFilter,
    SearchPlan,
    SearchRequest,
    StartedDiscovery,
)
from leadflood.domain.icp.schemas import people_query
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.runs.schemas import RunCancellation
from leadflood.domain.runs.service.reports import RunReports
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotConfigured, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

MOST_LEADS = 1_000_000
SAME_FOR = timedelta(days=1)
"""For how long a search that asks for the same is the same search."""


class DiscoveryService:
    """The discovery of a run. `sources` are the providers that can search, the default first."""

    def __init__(self, clock: Clock, sources: Sequence[str]) -> None:
        self._clock = clock
        self.sources = tuple(sources)

    def require_sources(self) -> tuple[str, ...]:
        """Return all sources that are configured. Raises: NotConfigured when there is none."""
        if not self.sources:
            raise NotConfigured(
                "no provider that can search for people is configured: set the api_key of one"
                " (docs/providers.md lists them; LEADFLOOD_PROVIDERS__NAME__API_KEY)"
            )
        return self.sources

    async def start(self, tx: Tx, new: NewDiscovery) -> PageWanted:
        """Record the discovery of a run; the caller queues the page it returns, in the run.

        Raises: Invalid naming the field; Conflict when the run has a discovery already.
        """
        problems = self._problems(new)
        if problems:
            raise Invalid(
                "the discovery cannot start: " + "; ".join(p.problem for p in problems), problems
            )
        if not await repository.record_run(tx, new, self._clock.now()):
            raise Conflict(
                f"run {new.run_id} has a discovery already: start another run",
                code="discovery.run.exists",
            )
        return PageWanted(discovery_run_id=new.run_id, cursor=None, page=1)

    async def get(self, db: Reader, run_id: UUID) -> DiscoveryView:
        """Return a discovery as it stands. Raises: NotFound."""
        view = await repository.find_view(db, run_id)
        if view is None:
            raise NotFound(f"there is no discovery run {run_id}", code="discovery.run.not_found")
        return view

    async def find_earlier(self, tx: Tx, request_hash: bytes) -> EarlierDiscovery | None:
        """Find a search for the same that was begun within a day and did not fail.

        Waits: for equal requests that are being answered, on whatever node.
        """
        return await repository.find_earlier(tx, request_hash, self._clock.now() - SAME_FOR)

    def _problems(self, new: NewDiscovery) -> tuple[FieldProblem, ...]:
        problems = []
        if new.provider not in self.sources:
            names = ", ".join(self.sources) or "none is configured"
            problems.append(
                FieldProblem("provider", f"{new.provider!r} cannot search for people; can: {names}")
            )
        if not 0 < new.wanted_count <= MOST_LEADS:
            problems.append(
                FieldProblem(
                    "maxLeads", f"write a number from 1 to {MOST_LEADS}, not {new.wanted_count}"
                )
            )
        return tuple(problems)


class SearchService:
    """Searches: planned, begun once a day for the same request, listed and looked into."""

    def __init__(
        self,
        db: Reader,
        ids: Ids,
        discoveries: DiscoveryService,
        icps: IcpService,
        runs: RunService,
    ) -> None:
        self._db = db
        self._ids = ids
        self._discoveries = discoveries
        self._icps = icps
        self._runs = runs
        self._reports = RunReports(db)

    async def plan(self, request: SearchRequest) -> SearchPlan:
        """Work out a search before a transaction is open. Raises: NotFound."""
        icp = await self._icps.get(request.icp_id)
        limits = self._runs.resolve(request.limits)
        request_hash = hash_request(request, limits)
        discovery = NewDiscovery(
            run_id=self._ids.new(),
            icp_id=request.icp_id,
            provider=request.provider,
            query=people_query(icp),
            wanted_count=request.max_leads,
            request_hash=request_hash,
            owner=request.visibility.owner,
        )
        return SearchPlan(
            discovery=discovery,
            request_hash=request_hash,
            kind=request.kind,
            limits=limits,
            is_repeated=request.is_repeated,
        )

    async def begin(self, transaction: PublishingTransaction, plan: SearchPlan) -> StartedDiscovery:
        """Begin a search in a run of its own, or find the one that asks for the same.

        Raises: Invalid.
        """
        tx, discovery = transaction.tx, plan.discovery
        run_id, provider = discovery.run_id, discovery.provider
        earlier = await self._discoveries.find_earlier(tx, plan.request_hash)
        if earlier is not None and not plan.is_repeated:
            return StartedDiscovery(
                run_id=earlier.run_id, job_id=earlier.job_id, provider=provider, is_new=False
            )
        title = f"{discovery.wanted_count} leads by the API"
        await self._runs.open_run(
            tx, plan.kind, plan.limits, title=title, run_id=run_id, is_shared=True
        )
        page = await self._discoveries.start(tx, discovery)
        (job_id,) = await transaction.publish([page], run_id=run_id)
        await repository.record_first_job(tx, run_id, job_id)
        return StartedDiscovery(run_id=run_id, job_id=job_id, provider=provider, is_new=True)

    async def list_runs(
        self, run_filter: DiscoveryRunFilter, before: UUID | None, limit: int
    ) -> list[DiscoveryRunSummary]:
        """List discovery runs, newest first, behind a position."""
        return await repository.list_discovery_runs(self._db, run_filter, before, limit)

    async def list_versions(self, icp_id: UUID) -> tuple[UUID, ...]:
        """Return the ICP versions an id means: one, or all of a profile. Raises: NotFound."""
        if await self._icps.find(icp_id) is not None:
            return (icp_id,)
        return await self.list_all_versions(icp_id)

    async def list_all_versions(self, icp_id: UUID) -> tuple[UUID, ...]:
        """Return all versions of the ICP that an id belongs to. Raises: NotFound."""
        return await self._icps.versions_of(await self._icps.profile_of(icp_id))

    async def get_detail(self, run_id: UUID) -> DiscoveryRunDetail:
        """Return a discovery run with its counts and how far its leads are. Raises: NotFound."""
        discovery = await self._discoveries.get(self._db, run_id)
        report = await self._reports.report(await self._runs.get(run_id))
        values = {**msgspec.structs.asdict(report.run), **msgspec.structs.asdict(discovery)}
        names = DiscoveryRunDetail.__struct_fields__
        return DiscoveryRunDetail(
            **{name: values[name] for name in names if name in values},
            run_state=report.run.state,
            search_cost_micros=discovery.cost_micros,
            progress=report.funnel,
            progress_ratio=report.progress_ratio,
            waits=report.waits,
        )

    async def get_search_of(self, icp_id: UUID, run_id: UUID) -> DiscoveryRunDetail:
        """Return a run that searched for any version of an ICP. Raises: NotFound."""
        versions = await self.list_all_versions(icp_id)
        detail = await self.get_detail(run_id)
        if detail.icp_id not in versions:
            raise NotFound(
                f"run {run_id} did not search for ICP {icp_id}: list its search runs",
                code="discovery.run.not_found",
            )
        return detail

    async def inspect(
        self, run_id: UUID, record_filter: RecordFilter, after: int, limit: int
    ) -> DiscoveryInspection:
        """Return records behind a position, and what the source was asked for their pages.

        Raises: NotFound.
        """
        discovery = await self._discoveries.get(self._db, run_id)
        rows = await repository.inspect_records(self._db, run_id, record_filter, after, limit + 1)
        records = rows[:limit]
        first = records[0].page if records else record_filter.page or 1
        last = max([record.page for record in records], default=first + limit)
        pages = await repository.list_pages(self._db, run_id, first - 1, limit)
        return DiscoveryInspection(
            discovery=discovery,
            pages=[page for page in pages if page.page <= last],
            records=records,
            has_more=len(rows) > limit,
        )

    async def cancel(self, tx: Tx, run_id: UUID, principal: Principal) -> RunCancellation:
        """Cancel a discovery run. Raises: NotFound; Denied as `RunService.cancel_as`."""
        await self._discoveries.get(tx, run_id)
        return await self._runs.cancel_as(tx, run_id, principal)
