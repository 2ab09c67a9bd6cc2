"""What an ICP would find and what it finds: previews over the leads there are, and searches."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import anyio
import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.lead_detail import ContributionView
from leadflood.api.routes.discovery_runs import (
    Discoveries,
    DiscoveryMade,
    ProviderName,
    RunDetail,
    RunState,
    Wanted,
    created,
)
from leadflood.api.routes.icps import IcpBody
from leadflood.api.services import Node
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.auth.schemas import Permission
from leadflood.domain.features.service import FeatureService
from leadflood.domain.icp.schemas import (
    Bands,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    RuleValue,
    Target,
)
from leadflood.domain.overview.schemas import RunFilter, RunSummary
from leadflood.domain.overview.service import OverviewService
from leadflood.domain.scoring.schemas import BandCounts, LeadCount, PreviewResult
from leadflood.engine.errors import Conflict, Denied, Invalid, NotConfigured, NotFound

AT_ONCE = 2
"""Previews computed at the same time in a process; the others wait for their turn."""


class PreviewQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """How many leads to show."""

    sample_size: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10


class RuleCountView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one rule says of the leads looked at.

    `metCount`, `notMetCount` and `unknownCount` sum to all of them. `keptAsOnlyFilter`: how many
    would be left if it alone were a HARD_FILTER (a value that is not known meets NEQ, NOT_IN and
    EXISTS = false); `fitAsFilter`: how many of those that fit now would still.
    """

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    worth_milli: int
    met_count: int
    not_met_count: int
    unknown_count: int
    kept_as_only_filter: int
    fit_as_filter: int


class BandCountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads would have which band."""

    low: int
    medium: int
    high: int

    @staticmethod
    def of(counts: BandCounts) -> "BandCountsView":
        """Show them."""
        return BandCountsView(low=counts.low, medium=counts.medium, high=counts.high)


class PreviewedLeadView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead with the score it would have; the contributions sum to it exactly."""

    lead_id: UUID
    values: dict[FieldName, Scalar]
    score: float
    score_milli: int
    band: Band
    is_filtered_out: bool
    contributions: tuple[ContributionView, ...]


class PreviewView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an ICP makes of the leads there are.

    `fitCount`: MEDIUM or HIGH. `filteredOutCount`: stopped by a HARD_FILTER. `isSample`: there
    are more leads than the newest ones looked at. `sample` are the best of these, best first.
    """

    evaluated_count: int
    total_count: int
    total_is_estimate: bool
    is_sample: bool
    fit_count: int
    filtered_out_count: int
    bands: BandCountsView
    rules: tuple[RuleCountView, ...]
    sample: tuple[PreviewedLeadView, ...]


class SearchBody(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A search to start, a run for each source; all limits and caps hold for each of these.

    `sources` null: all that are configured. `providers` are those that may be paid (null: all).
    Caps null: those of the settings. `again` starts other runs where the same was asked for
    within a day.
    """

    sources: (
        Annotated[tuple[ProviderName, ...], msgspec.Meta(min_length=1, max_length=20)] | None
    ) = None


class SearchMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A search goes on: `runId` and `jobId` are those of the first of its `runs`."""

    run_id: UUID
    job_id: UUID
    is_new: bool
    runs: tuple[DiscoveryMade, ...]


class SearchQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which search runs; null asks for nothing."""

    state: RunState | None = None
    provider: ProviderName | None = None


class IcpSearch:
    """The routes of previews and searches."""

    def __init__(self, node: Node, discoveries: Discoveries) -> None:
        self._node = node
        self._discoveries = discoveries
        self._features = FeatureService()
        self._turns: anyio.CapacityLimiter | None = None

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        one = "/v1/icps/{icpId}"
        runs_path = f"{one}/search-runs"
        reads = "it only reads"
        return (
            Route(
                method="POST", path="/v1/icps/preview", handler=self.preview_new,
                rate="heavy",
                permission="leads:read", errors=(Invalid,), idempotent=False,
                reason=reads,
            ),
            Route(
                method="POST", path=f"{one}/preview", handler=self.preview,
                rate="heavy",
                permission="leads:read", errors=(NotFound, Denied), idempotent=False,
                reason=reads,
            ),
            Route(
                method="POST", path=f"{one}/search", handler=self.search,
                permission="discovery:write", status=HTTPStatus.CREATED,
                errors=(Invalid, NotFound, Conflict, NotConfigured), shows=SearchMade,
                also=(HTTPStatus.OK,),
            ),
            Route(
                method="GET", path=runs_path, handler=self.list, permission="discovery:read",
                errors=(NotFound,),
            ),
            Route(
                method="GET", path=runs_path + "/{runId}", handler=self.get,
                permission="discovery:read", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def preview_new(self, body: IcpBody, query: PreviewQuery, caller: Caller) -> PreviewView:
        """Tell what an ICP that is not saved would make of the leads there are.

        The newest 2,000 leads are looked at, by the pipeline's own rules; nothing is written.
        """
        given = body.as_input()
        rules = self._node.services.icps.rules_of(given)
        return await self._preview(rules, given.bands, given.target, query, caller)

    async def preview(self, icp_id: UUID, query: PreviewQuery, caller: Caller) -> PreviewView:
        """Tell what a version, or the newest version of an ICP, would make of the leads there are.

        The newest 2,000 leads are looked at, by the pipeline's own rules; nothing is written. It
        shows the ICP's rules, so it needs `icps:read` besides.
        """
        if Permission.ICPS_READ not in caller.principal.permissions:
            raise Denied(
                f"a preview shows the ICP's rules: it needs {Permission.ICPS_READ} too",
                code="http.denied",
            )
        icp = await self._node.services.icps.get_any(icp_id)
        return await self._preview(icp.rules, icp.bands, icp.target, query, caller)

    async def _preview(
        self,
        rules: Sequence[QualificationRule],
        bands: Bands,
        target: Target,
        query: PreviewQuery,
        caller: Caller,
    ) -> PreviewView:
        if self._turns is None:
            self._turns = anyio.CapacityLimiter(AT_ONCE)
        scores = self._node.services.scores
        visibility = caller.principal.visibility
        vectors_of = self._features.vectors_for(target)
        async with self._turns:
            total = await scores.count_leads(visibility)
            tally = await scores.preview(
                rules, bands, vectors_of, visibility=visibility, sample_size=query.sample_size
            )
        return _show(tally, total)

    async def search(self, icp_id: UUID, body: SearchBody, caller: Caller) -> HtmlPage:
        """Search for the people an ICP describes, at all its sources, once a day.

        The same ICP version, sources and parameters within a day are the same runs, answered
        with 200 and `isNew` false, unless they failed or were cancelled, or `again` is set.
        """
        chosen = await self._node.services.icps.resolve_version(icp_id)
        sources = tuple(dict.fromkeys(body.sources or self._discoveries.sources()))
        plans = [
            await self._discoveries.plan(chosen, "search", source, body)
            for source in sorted(sources)
        ]

        async def do(uow: UnitOfWork) -> SearchMade:
            made = tuple([await self._discoveries.begin(uow, plan) for plan in plans])
            return SearchMade(
                run_id=made[0].run_id, job_id=made[0].job_id,
                is_new=any(one.is_new for one in made), runs=made,
            )  # fmt: skip

        answer = await run_once(self._node.services, caller, SearchMade, do)
        return created(answer, is_new=answer.is_new)

    async def list(self, icp_id: UUID, query: SearchQuery) -> Listed[RunSummary]:
        """List the runs that searched for any version of an ICP, newest first."""
        icps = self._node.services.icps
        versions = await icps.versions_of(await icps.profile_of(icp_id))
        wanted = RunFilter(icp_ids=versions, state=query.state, provider=query.provider)
        overview = OverviewService(self._node.services.db)
        found = await overview.list_discovery_runs(wanted, query.position(), query.fetch_limit)
        return paginate(found, query)

    async def get(self, icp_id: UUID, run_id: UUID) -> RunDetail:
        """Show a run that searched for an ICP, with its counts and the progress of its leads."""
        icps = self._node.services.icps
        versions = await icps.versions_of(await icps.profile_of(icp_id))
        found = await self._discoveries.get(run_id)
        if found.icp_id not in versions:
            raise NotFound(
                f"run {run_id} did not search for ICP {icp_id}: list its search runs",
                code="discovery.run.not_found",
            )
        return found


def _show(tally: PreviewResult, total: LeadCount) -> PreviewView:
    return PreviewView(
        evaluated_count=tally.evaluated_count,
        total_count=max(total.count, tally.evaluated_count),
        total_is_estimate=total.is_estimate,
        is_sample=total.count > tally.evaluated_count,
        fit_count=tally.fit_count,
        filtered_out_count=tally.filtered_out_count,
        bands=BandCountsView.of(tally.bands),
        rules=msgspec.convert(tally.rules, tuple[RuleCountView, ...], from_attributes=True),
        sample=tuple(
            PreviewedLeadView(
                lead_id=lead.lead_id,
                values=lead.shown,
                score=lead.score.score_milli / 1000,
                score_milli=lead.score.score_milli,
                band=lead.score.band,
                is_filtered_out=lead.score.is_filtered_out,
                contributions=tuple(
                    ContributionView(name=part.name, points_milli=part.points_milli)
                    for part in lead.score.contributions
                ),
            )
            for lead in tally.sample
        ),
    )
