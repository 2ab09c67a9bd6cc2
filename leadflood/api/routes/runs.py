"""Runs of any kind over HTTP: searches, imports, single leads; how far they are, what they cost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.values import Micros
from leadflood.domain.runs.schemas import Funnel, RunCancellation
from leadflood.engine.errors import Denied, NotFound
from leadflood.engine.queue.runs import Run, RunFilter

Kind = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.-]{0,39}$")]
RunState = Literal["running", "completed", "cancelled"]


class RunQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which runs; null asks for nothing."""

    kind: Kind | None = None
    state: RunState | None = None


class RunView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run and what may be done for it.

    `providers` null: all may be paid. A cap null: none. `endedAt` null: it goes on.
    """

    id: UUID
    kind: str
    title: str
    state: str
    is_cancelled: bool
    sends: str
    providers: tuple[str, ...] | None
    cap_micros: Micros | None
    lead_cap_micros: Micros | None
    created_at: datetime
    ended_at: datetime | None


class RunDetail(RunView, frozen=True, kw_only=True, rename="camel"):
    """A run with how far it is.

    `progress` counts its leads and its money. `liveJobs` are by stage. `capUsedMicros` is what
    counts against the cap: spent, reserved and unresolved. `progressRatio` null: nothing is
    found yet.
    """

    progress: Funnel
    progress_ratio: float | None
    live_jobs: Mapping[str, int]
    cap_used_micros: Micros


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run after its cancellation.

    Not `isCancelled`: it had ended, and left no dead letter that could be replayed.
    """

    run_id: UUID
    is_cancelled: bool
    state: str


@get("/v1/runs", permission="jobs:read")
async def list_runs(query: RunQuery, caller: Caller, services: Services) -> Listed[RunView]:
    """List runs of any kind, newest first.

    Those who see only their own leads see searches and the runs that they opened themselves.
    """
    run_filter = RunFilter(kind=query.kind, state=query.state)
    listed = await services.runs.list_page(
        run_filter, caller.visibility, query.position(), query.fetch_limit
    )
    return paginate([RunView(**_values_of(run)) for run in listed], query)


@get("/v1/runs/{runId}", permission="jobs:read", errors=(NotFound,))
async def get_run(run_id: UUID, caller: Caller, services: Services) -> RunDetail:
    """Show a run: its leads stage by stage, its jobs, its money and its caps."""
    report = await services.runs.get_report(run_id, caller.visibility)
    return RunDetail(
        **_values_of(report.run),
        progress=report.funnel,
        progress_ratio=report.progress_ratio,
        live_jobs=report.live_jobs,
        cap_used_micros=report.cap_used_micros,
    )


@put("/v1/runs/{runId}/cancellation", permission="discovery:write", errors=(NotFound, Denied))
async def cancel_run(
    run_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> Cancellation:
    """Cancel a run of any kind: its waiting jobs are swept, what is at work is finished.

    Its dead letters are replayed no more, also those of a run that has ended. Those who see only
    their own leads cancel the runs that they opened.
    """
    cancellation = await services.runs.cancel_as(uow.tx, run_id, caller.principal)
    return await record_cancellation(uow, cancellation)


async def record_cancellation(uow: UnitOfWork, cancellation: RunCancellation) -> Cancellation:
    """Record who cancelled a run, and return how it stands."""
    run = cancellation.run
    if cancellation.is_new:
        await uow.audit("run.cancelled", run.id)
    return Cancellation(run_id=run.id, is_cancelled=run.cancelled, state=run.state)


def _values_of(run: Run) -> dict[str, Any]:
    values = msgspec.structs.asdict(run)
    del values["opened_by"], values["is_shared"], values["repeats"]
    values["is_cancelled"] = values.pop("cancelled")
    return values
