"""Previews of an ICP over the leads there are, and its searches."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse, created_or_existing
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import LateUnitOfWork, UnitOfWork
from leadflood.api.routes.discovery_runs import ProviderName, SearchLimits, begin_search
from leadflood.api.routes.icps import PreviewedIcp
from leadflood.api.routes.runs import RunState
from leadflood.api.services import Services
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.discovery.schemas import (
    DiscoveryRunDetail,
    DiscoveryRunFilter,
    DiscoveryRunSummary,
    StartedDiscovery,
)
from leadflood.domain.icp.schemas import Icp, IcpInput, Operator, RuleField, RuleKind, RuleValue
from leadflood.domain.lead_views.schemas import ContributionView, IcpPreview
from leadflood.domain.scoring.schemas import PreviewedLead
from leadflood.engine.errors import Conflict, Denied, Invalid, NotConfigured, NotFound


class PreviewQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """How many leads to show."""

    sample_size: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10


class RuleCountView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The verdict of one rule over the leads looked at.

    `metCount`, `notMetCount` and `unknownCount` sum to all of them. `keptAsOnlyFilter`: how many
    would be left if it alone were a HARD_FILTER (a value that is not known meets NEQ, NOT_IN and
    EXISTS = false); `fitAsFilter`: how many of those that fit now would still. `error` not empty:
    why the rule cannot be evaluated; its leads count as unknown.
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
    error: str = ""


class BandCountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads would have which band."""

    low: int
    medium: int
    high: int


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
    """The scores of the leads there are under an ICP.

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


class SearchBody(
    SearchLimits, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A search to start, a run for each source; all limits and caps hold for each of these.

    `sources` null: all that are configured. `providers` are those that may be paid (null: all).
    Caps null: those of the settings. `again` starts other runs where the same was asked for
    within a day.
    """

    sources: (
        Annotated[tuple[ProviderName, ...], msgspec.Meta(min_length=1, max_length=20)] | None
    ) = None


class StartedSearch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A search goes on: `runId` and `jobId` are those of the first of its `runs`."""

    run_id: UUID
    job_id: UUID
    is_new: bool
    runs: tuple[StartedDiscovery, ...]


class SearchQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which search runs; null asks for nothing."""

    state: RunState | None = None
    provider: ProviderName | None = None


@post(
    "/v1/icps/preview",
    permission="leads:read",
    rate="heavy",
    errors=(Invalid,),
    idempotent=False,
    reason="it only reads",
)
async def preview_new_icp(
    body: PreviewedIcp, query: PreviewQuery, caller: Caller, services: Services
) -> PreviewView:
    """Preview the scores that an unsaved ICP would give the leads there are.

    The newest 2,000 leads are looked at, by the pipeline's own rules, or as many of them as a
    second is enough for, less where many ask at once (`evaluatedCount`); nothing is written.
    Of one user one preview is computed at a time.
    """
    icp = await services.icps.complete(body.as_input())
    return await _preview(icp, query, caller, services)


@post(
    "/v1/icps/{icpId}/preview",
    permission="leads:read",
    rate="heavy",
    errors=(NotFound, Denied),
    idempotent=False,
    reason="it only reads",
)
async def preview_icp(
    icp_id: UUID, query: PreviewQuery, caller: Caller, services: Services
) -> PreviewView:
    """Preview the scores that a version, or an ICP's newest, would give the leads there are.

    The newest 2,000 leads are looked at, by the pipeline's own rules, or as many of them as a
    second is enough for (`evaluatedCount`); nothing is written. It shows the ICP's rules, so it
    needs `icps:read` besides.
    """
    if Permission.ICPS_READ not in caller.principal.permissions:
        raise Denied(
            f"a preview shows the ICP's rules: it needs {Permission.ICPS_READ} too",
            code="http.denied",
        )
    icp = await services.icps.get_any(icp_id)
    return await _preview(icp, query, caller, services)


async def _preview(
    icp: Icp | IcpInput, query: PreviewQuery, caller: Caller, services: Services
) -> PreviewView:
    preview = await services.previews.preview(
        icp.rules,
        icp.bands,
        icp.target,
        caller.principal.counted_as,
        caller.visibility,
        query.sample_size,
    )
    return _show(preview)


@post(
    "/v1/icps/{icpId}/search",
    permission="discovery:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, NotFound, Conflict, NotConfigured),
    shows=StartedSearch,
    also=(HTTPStatus.OK,),
)
async def start_search(
    icp_id: UUID,
    body: SearchBody,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[RawResponse],
) -> RawResponse:
    """Search for the people an ICP describes, at all its sources, once a day.

    The same ICP version, sources and parameters within a day are the same runs, answered
    with 200 and `isNew` false, unless they failed or were cancelled, or `again` is set.
    """
    version_id = await services.icps.resolve_version(icp_id)
    sources = sorted(set(body.sources or services.discovery.require_sources()))
    plans = [
        await services.searches.plan(body.request(version_id, "search", source, caller))
        for source in sources
    ]

    async def begin(uow: UnitOfWork) -> RawResponse:
        runs = tuple([await begin_search(uow, services, plan) for plan in plans])
        is_new = any(run.is_new for run in runs)
        search = StartedSearch(
            run_id=runs[0].run_id, job_id=runs[0].job_id, is_new=is_new, runs=runs
        )
        return created_or_existing(search, is_new=is_new)

    return await late_uow.run(begin)


@get("/v1/icps/{icpId}/search-runs", permission="discovery:read", errors=(NotFound,))
async def list_searches(
    icp_id: UUID, query: SearchQuery, services: Services
) -> Listed[DiscoveryRunSummary]:
    """List the runs that searched for any version of an ICP, newest first."""
    run_filter = DiscoveryRunFilter(
        icp_ids=await services.searches.list_all_versions(icp_id),
        state=query.state,
        provider=query.provider,
    )
    summaries = await services.searches.list_runs(run_filter, query.position(), query.fetch_limit)
    return paginate(summaries, query)


@get("/v1/icps/{icpId}/search-runs/{runId}", permission="discovery:read", errors=(NotFound,))
async def get_search(icp_id: UUID, run_id: UUID, services: Services) -> DiscoveryRunDetail:
    """Show a run that searched for an ICP, with its counts and the progress of its leads."""
    return await services.searches.get_search_of(icp_id, run_id)


def _show(preview: IcpPreview) -> PreviewView:
    tally, total = preview.tally, preview.total
    return PreviewView(
        evaluated_count=tally.evaluated_count,
        total_count=max(total.count, tally.evaluated_count),
        total_is_estimate=total.is_estimate,
        is_sample=total.count > tally.evaluated_count,
        fit_count=tally.fit_count,
        filtered_out_count=tally.filtered_out_count,
        bands=msgspec.convert(tally.bands, BandCountsView, from_attributes=True),
        rules=msgspec.convert(tally.rules, tuple[RuleCountView, ...], from_attributes=True),
        sample=tuple(_show_lead(lead) for lead in tally.sample),
    )


def _show_lead(lead: PreviewedLead) -> PreviewedLeadView:
    score = lead.score
    return PreviewedLeadView(
        lead_id=lead.lead_id,
        values=lead.shown,
        score=score.score_milli / 1000,
        score_milli=score.score_milli,
        band=score.band,
        is_filtered_out=score.is_filtered_out,
        contributions=msgspec.convert(
            score.contributions, tuple[ContributionView, ...], from_attributes=True
        ),
    )
