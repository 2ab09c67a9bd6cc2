"""Runs of any kind over HTTP: searches, imports, single leads; how far they are, what they cost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, patch, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.values import Micros
from leadflood.domain.runs.schemas import CapChange, Funnel, RunCancellation, RunWait
from leadflood.engine.errors import Conflict, Denied, NotFound
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
    found yet. `waits`: what it waits for, also after it has ended: messages whose setting is
    missing, or whose money is spent, go once that is mended (`againAt` null).
    """

    progress: Funnel
    progress_ratio: float | None
    live_jobs: Mapping[str, int]
    cap_used_micros: Micros
    waits: tuple[RunWait, ...]


class ChangedCaps(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The caps of a run, and how many messages that waited for money go on at once."""

    run_id: UUID
    cap_micros: Micros | None
    lead_cap_micros: Micros | None
    resumed_count: int


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
        waits=report.waits,
    )


@patch("/v1/runs/{runId}/caps", permission="budget:write", errors=(NotFound, Conflict))
async def change_run_caps(
    run_id: UUID, body: CapChange, caller: Caller, services: Services, uow: UnitOfWork
) -> ChangedCaps:
    """Change what a run may cost in all (`capMicros`) and for each lead (`leadCapMicros`).

    Also of a run that has ended: its messages that wait for money go if there is enough now. What
    its leads went without is not asked for again: `POST /v1/leads/{leadId}/enrich` does that.
    """
    run = await services.runs.change_caps(uow.tx, run_id, body, caller.visibility)
    await uow.audit("run.caps_changed", run_id, **msgspec.to_builtins(body))
    return ChangedCaps(
        run_id=run_id,
        cap_micros=run.cap_micros,
        lead_cap_micros=run.lead_cap_micros,
        resumed_count=await services.waiting_sends.resume_run(uow.publication, run_id),
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
