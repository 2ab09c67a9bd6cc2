"""Discovery runs over HTTP: start, watch, cancel, look into."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate, read_cursor, write_cursor
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.leads import Cap, Providers
from leadflood.api.services import Node
from leadflood.contracts.ports.people import PeopleQuery
from leadflood.contracts.values import Micros, SendsPolicy
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.discovery.schemas import (
    DiscoveryState,
    NewDiscovery,
    PageView,
    RecordFilter,
    RecordStatus,
    RecordView,
)
from leadflood.domain.icp.schemas import people_query
from leadflood.domain.overview.schemas import Funnel, RunFilter, RunSummary
from leadflood.domain.overview.service import OverviewService
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun, Run

ProviderName = Annotated[str, msgspec.Meta(max_length=40)]
Kind = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.-]{0,39}$")]
MaxLeads = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
RunState = Literal["running", "completed", "cancelled"]
_RECORDS = "records"
"""What the cursor of an inspection goes through."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be done in a search.

    `providers` are those that may be paid in this run (null: all). Caps null: those of the
    settings. `again` starts another run where the same was asked for within a day.
    """

    max_leads: MaxLeads = 100
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None
    lead_cap_micros: Cap | None = None
    again: bool = False


class DiscoveryBody(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A discovery to start.

    `icpId` null means the newest ICP; `provider` empty the first that can search. `providers`
    are those that may be paid in this run (null: all). Caps null: those of the settings. `again`
    starts another run where the same was asked for within a day.
    """

    icp_id: UUID | None = None
    kind: Kind = "discovery"
    provider: ProviderName = ""


class RunQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which runs; null asks for nothing.

    `icpId` is a version or the ICP itself. `state` is that of the whole run, `searchState` that
    of the search alone.
    """

    icp_id: UUID | None = None
    state: RunState | None = None
    search_state: DiscoveryState | None = None
    provider: ProviderName | None = None
    kind: Kind | None = None


class DiscoveryMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery goes on; `jobId` is its first page. Not `isNew`: the same was begun before."""

    run_id: UUID
    job_id: UUID
    provider: str
    is_new: bool


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


class Inspection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What to look at; null asks for nothing. `cursor` is the `nextCursor` of the answer before.

    `page` is a page of the source, from 1.
    """

    status: RecordStatus | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] = ""


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

    @staticmethod
    def of(query: PeopleQuery) -> "QueryView":
        """Show a question."""
        return QueryView(**msgspec.structs.asdict(query))


class Inspected(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a source was asked, what it answered, and why each record was kept or refused.

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


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run after its cancellation; not `isCancelled`: it had ended before."""

    run_id: UUID
    is_cancelled: bool
    state: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A search to begin, worked out; `ask_hash` names what is asked for."""

    run: NewRun
    new: NewDiscovery
    ask_hash: bytes
    again: bool


class Discoveries:
    """The routes of discovery runs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _overview(self) -> OverviewService:
        return OverviewService(self._node.services.db)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/discovery/runs", "/v1/discovery/runs/{runId}"
        missing = (NotFound,)
        return (
            Route(
                method="POST", path=path, handler=self.start, permission="discovery:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict, NotConfigured),
                shows=DiscoveryMade, also=(HTTPStatus.OK,),
            ),
            Route(
                method="GET", path=path, handler=self.list, permission="discovery:read",
                errors=missing,
            ),
            Route(
                method="GET", path=one, handler=self.get, permission="discovery:read",
                errors=missing,
            ),
            Route(
                method="PUT", path=f"{one}/cancellation", handler=self.cancel,
                permission="discovery:write", errors=missing,
            ),
            Route(
                method="POST", path=f"{one}/inspect", handler=self.inspect,
                permission="discovery:read", errors=missing, idempotent=False,
                reason="it only reads",
            ),
        )  # fmt: skip

    async def start(self, body: DiscoveryBody, caller: Caller) -> HtmlPage:
        """Start looking for the people an ICP describes, once a day for the same request.

        The same ICP version, source and parameters within a day are the same run: it is answered
        with 200 and `isNew` false, unless it failed or was cancelled, or `again` asks for another.
        """
        icp_id = await self._node.services.icps.resolve_version(body.icp_id)
        plan = await self.plan(icp_id, body.kind, body.provider or self.sources()[0], body)

        async def do(uow: UnitOfWork) -> DiscoveryMade:
            return await self.begin(uow, plan)

        made = await run_once(self._node.services, caller, DiscoveryMade, do)
        return created(made, is_new=made.is_new)

    def sources(self) -> tuple[str, ...]:
        """Tell all sources that are configured. Raises: NotConfigured when there is none."""
        sources = self._node.services.discovery.sources
        if not sources:
            raise NotConfigured(
                "no provider that can search for people is configured: set the api_key of one"
                " (docs/providers.md lists them; LEADFLOOD_PROVIDERS__NAME__API_KEY)"
            )
        return sources

    async def plan(self, icp_id: UUID, kind: str, provider: str, wanted: Wanted) -> Plan:
        """Work out a search before a transaction is open. Raises: NotFound."""
        services = self._node.services
        icp = await services.icps.get(icp_id)
        budget = services.budget
        cap, lead_cap = wanted.cap_micros, wanted.lead_cap_micros
        run = NewRun(
            id=services.ids.new(), kind=kind, title=f"{wanted.max_leads} leads by the API",
            sends=wanted.sends.value, providers=wanted.providers,
            cap_micros=budget.run_micros if cap is None else cap,
            lead_cap_micros=budget.lead_micros if lead_cap is None else lead_cap,
        )  # fmt: skip
        ask_hash = self._node.services.discovery.name_ask(
            icp_id, provider, kind, wanted.max_leads, run.sends,
            None if run.providers is None else sorted(run.providers),
            run.cap_micros, run.lead_cap_micros,
        )  # fmt: skip
        new = NewDiscovery(
            run_id=run.id, icp_id=icp_id, provider=provider, query=people_query(icp),
            wanted_count=wanted.max_leads, ask_hash=ask_hash,
        )  # fmt: skip
        return Plan(run=run, new=new, ask_hash=ask_hash, again=wanted.again)

    async def begin(self, uow: UnitOfWork, plan: Plan) -> DiscoveryMade:
        """Begin a search in an open transaction, or find the one that asks for the same.

        Raises: Invalid.
        """
        discovery, run = self._node.services.discovery, plan.run
        same = await discovery.find_same(uow.tx, plan.ask_hash)
        if same is not None and not plan.again:
            return DiscoveryMade(
                run_id=same.run_id, job_id=same.job_id, provider=plan.new.provider, is_new=False
            )
        await runs.create(uow.tx, run, self._node.services.clock.now())
        page = await discovery.start(uow.tx, plan.new)
        (job_id,) = await uow.publication.publish(
            [page],
            run_id=run.id,
            request_id=uow.caller.request_id,
            trace_parent=uow.caller.trace_parent,
        )
        await discovery.note_first_job(uow.tx, run.id, job_id)
        await uow.record(_entry_of("discovery.started", plan))
        return DiscoveryMade(run_id=run.id, job_id=job_id, provider=plan.new.provider, is_new=True)

    async def get(self, run_id: UUID) -> RunDetail:
        """Show a discovery run with its counts and the progress of its leads."""
        db = self._node.services.db
        view = await self._node.services.discovery.get(db, run_id)
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
            progress=funnel, progress_ratio=ratio_of(funnel, run), created_at=view.created_at,
            updated_at=view.updated_at, ended_at=run.ended_at,
        )  # fmt: skip

    async def list(self, query: RunQuery) -> Listed[RunSummary]:
        """List discovery runs, newest first."""
        wanted = RunFilter(
            icp_ids=None if query.icp_id is None else await self._versions(query.icp_id),
            state=query.state,
            search_state=None if query.search_state is None else query.search_state.value,
            provider=query.provider,
            kind=query.kind,
        )
        found = await self._overview.list_discovery_runs(
            wanted, query.position(), query.fetch_limit
        )
        return paginate(found, query)

    async def _versions(self, icp_id: UUID) -> tuple[UUID, ...]:
        """Tell the versions an id means: one, or all of an ICP."""
        icps = self._node.services.icps
        if await icps.find(icp_id) is not None:
            return (icp_id,)
        return await icps.versions_of(await icps.profile_of(icp_id))

    async def inspect(self, run_id: UUID, body: Inspection, caller: Caller) -> Inspected:
        """Tell what the source was asked, what it answered, and what became of each record.

        Who sees his own leads only is told of other records without their lead and values.
        """
        db, discovery = self._node.services.db, self._node.services.discovery
        view = await discovery.get(db, run_id)
        after: int = read_cursor(body.cursor, _RECORDS, int) if body.cursor else 0
        _require_position(after)
        owner = caller.principal.sees_owner
        wanted = RecordFilter(
            status=body.status, page=body.page, owner=None if owner is None else str(owner)
        )
        records = await discovery.inspect_records(db, run_id, wanted, after, body.limit + 1)
        shown = records[: body.limit]
        first = shown[0].page if shown else body.page or 1
        pages = await discovery.list_pages(db, run_id, first - 1, body.limit)
        last = max([record.page for record in shown], default=first + body.limit)
        more = len(records) > body.limit
        return Inspected(
            run_id=run_id, provider=view.provider, query=QueryView.of(view.query),
            state=view.state,
            code=view.code, page_count=view.page_count,
            pages=tuple(page for page in pages if page.page <= last), records=tuple(shown),
            next_cursor=write_cursor(shown[-1].position, _RECORDS) if more else None,
        )  # fmt: skip

    async def cancel(self, run_id: UUID, caller: Caller) -> Cancellation:
        """Cancel a discovery run: its waiting jobs are swept, what is at work is finished."""
        await self._node.services.discovery.get(self._node.services.db, run_id)
        return await cancel_run(self._node, run_id, caller)


async def cancel_run(node: Node, run_id: UUID, caller: Caller) -> Cancellation:
    """Cancel a run of any kind, once. Raises: NotFound."""

    async def do(uow: UnitOfWork) -> Cancellation:
        if await runs.cancel(uow.tx, run_id, caller.by, node.services.clock.now()):
            await uow.record(
                AuditEntry(action="run.cancelled", subject_kind="run", subject_id=str(run_id))
            )
        run = await runs.get(uow.tx, run_id)
        return Cancellation(run_id=run_id, is_cancelled=run.cancelled, state=run.state)

    return await run_once(node.services, caller, Cancellation, do)


def created(answer: msgspec.Struct, *, is_new: bool) -> HtmlPage:
    """Answer 201 for what was made now, 200 for what was there."""
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return HtmlPage(
        body=msgspec.json.encode(answer), content_type="application/json", status=status.value
    )


def ratio_of(funnel: Funnel, run: Run) -> float | None:
    """Tell how far a run is, 0 to 1; None: nothing is found yet."""
    if run.state != "running":
        return 1.0
    return (funnel.scored + funnel.failed) / funnel.found if funnel.found else None


def _entry_of(action: str, plan: Plan) -> AuditEntry:
    return AuditEntry(
        action=action,
        subject_kind="run",
        subject_id=str(plan.run.id),
        detail={
            "icp": str(plan.new.icp_id),
            "provider": plan.new.provider,
            "maxLeads": plan.new.wanted_count,
            "sends": plan.run.sends,
            "capMicros": plan.run.cap_micros,
        },
    )


def _require_position(after: int) -> None:
    if not 0 <= after < 2**31:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "http.query.invalid",
            "cursor: give the nextCursor of the answer before, unchanged",
        )  # fmt: skip
