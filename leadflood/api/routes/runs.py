"""Runs of any kind over HTTP: searches, imports, single leads; how far they are, what they cost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import (
    Listed,
    Paging,
    make_page,
)
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.routes.discovery_runs import Cancellation, Kind, RunState, cancel_run, ratio_of
from leadflood.api.run_sight import hidden_among, require_may_cancel, require_visible
from leadflood.api.services import Node
from leadflood.contracts.values import Micros
from leadflood.domain.overview.schemas import Funnel
from leadflood.domain.overview.service import OverviewService
from leadflood.engine.errors import Denied, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import Run, RunFilter


class RunsQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
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


class WholeRun(RunView, frozen=True, kw_only=True, rename="camel"):
    """A run with how far it is.

    `progress` counts its leads and its money. `liveJobs` are by stage. `capUsedMicros` is what
    counts against the cap: spent, reserved and unresolved. `progressRatio` null: nothing is
    found yet.
    """

    progress: Funnel
    progress_ratio: float | None
    live_jobs: Mapping[str, int]
    cap_used_micros: Micros


class Runs:
    """The routes of runs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/runs", "/v1/runs/{runId}"
        return (
            Route(method="GET", path=path, handler=self.list, permission="jobs:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="jobs:read",
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=f"{one}/cancellation", handler=self.cancel,
                permission="discovery:write", errors=(NotFound, Denied),
            ),
        )  # fmt: skip

    async def list(self, query: RunsQuery, caller: Caller) -> Listed[RunView]:
        """List runs of any kind, newest first.

        Imports and bulk actions of others are left out for who sees only his own leads: a page
        may hold fewer than `limit` then.
        """
        wanted = RunFilter(kind=query.kind, state=query.state)
        db = self._node.services.db
        found = await runs.list_page(db, wanted, query.position(), query.fetch_limit)
        shown = [RunView(**_told(run)) for run in query.skip(found)]
        page = make_page(shown, query, lambda run: run.id)
        hidden = await hidden_among(self._node, found, caller)
        if not hidden:
            return page
        seen = [run for run in page.data if run.id not in hidden]
        return msgspec.structs.replace(page, data=seen)

    async def get(self, run_id: UUID, caller: Caller) -> WholeRun:
        """Show a run: its leads stage by stage, its jobs, its money and its caps."""
        db = self._node.services.db
        run = await runs.get(db, run_id)
        await require_visible(self._node, run, caller)
        funnel = await OverviewService(db).count_funnel(run_id)
        return WholeRun(
            **_told(run),
            progress=funnel,
            progress_ratio=ratio_of(funnel, run),
            live_jobs=await runs.count_live(db, run_id),
            cap_used_micros=(
                funnel.spent_micros + funnel.reserved_micros + funnel.unresolved_micros
            ),
        )

    async def cancel(self, run_id: UUID, caller: Caller) -> Cancellation:
        """Cancel a run of any kind: its waiting jobs are swept, what is at work is finished."""
        run = await runs.get(self._node.services.db, run_id)
        await require_may_cancel(self._node, run, caller)
        return await cancel_run(self._node, run_id, caller)


def _told(run: Run) -> dict[str, Any]:
    told = msgspec.structs.asdict(run)
    told["is_cancelled"] = told.pop("cancelled")
    return told
