"""The work of a run: rows in, then our own node or another one, until every lead is final."""

import time
from uuid import UUID

import anyio

from leadflood.app import WHOLE_NODE, open_node
from leadflood.cli.console import print_message
from leadflood.cli.run.importer import ImportProgress, import_rows
from leadflood.cli.run.progress import ProgressDisplay, RunSnapshot
from leadflood.domain.imports.schemas.rows import ReadCsv
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.control import inspection
from leadflood.engine.queue.guard import register_installation
from leadflood.engine.queue.liveness import LivenessProbe
from leadflood.pipeline import STAGE_NAMES
from leadflood.wiring.storage import Storage

POLL_SECONDS = 0.3


async def work_until_done(
    storage: Storage, new: NewImport, csv: ReadCsv, started_at: float
) -> bool:
    """Work on a run until it ends; return whether another node did the work."""
    await register_installation(storage.db, storage.clock, storage.settings.mode)
    beat_seconds = storage.settings.engine.heartbeat.beat_seconds
    probe = LivenessProbe(storage.db, WHOLE_NODE, 3 * beat_seconds)
    if not await _is_running(storage, new.run_id):
        return False
    progress = ImportProgress(new, csv)
    with ProgressDisplay() as display:
        monitor = _RunMonitor(storage, progress, display, started_at)
        await _warn_about_paused_stages(storage)
        if await probe.has_live_node():
            print_message("work:    a node is running on this database: it does the work")
            return await _hand_over(storage, progress, monitor, probe)
        await _work_alone(storage, progress, monitor)
    return False


async def _work_alone(storage: Storage, progress: ImportProgress, monitor: "_RunMonitor") -> None:
    async with (
        open_node(storage, only_runs=(progress.new.run_id,)) as node,
        anyio.create_task_group() as group,
    ):
        group.start_soon(import_rows, storage, progress, node.publisher)
        await monitor.watch()


async def _warn_about_paused_stages(storage: Storage) -> None:
    """Print which stages would make the run wait for an operator."""
    for stage in await inspection.list_stages(storage.db, STAGE_NAMES, storage.clock.now()):
        if stage.paused:
            print_message(f"note:    {stage.name} is paused: `leadflood stage resume {stage.name}`")


async def _hand_over(
    storage: Storage, progress: ImportProgress, monitor: "_RunMonitor", probe: LivenessProbe
) -> bool:
    """Queue the rows and watch; when the last node is gone, do the rest of the work here."""
    async with anyio.create_task_group() as group:
        group.start_soon(import_rows, storage, progress, storage.producer())
        if await monitor.watch(probe):
            return True
        print_message("work:    that node is gone: this command continues on its own")
        async with open_node(storage, only_runs=(progress.new.run_id,)):
            await monitor.watch()
    return False


async def _is_running(storage: Storage, run_id: UUID) -> bool:
    return (await storage.runs.get(run_id)).state == "running"


class _RunMonitor:
    """Shows the progress of a run until it ends."""

    def __init__(
        self,
        storage: Storage,
        progress: ImportProgress,
        display: ProgressDisplay,
        started_at: float,
    ) -> None:
        self._storage = storage
        self._progress = progress
        self._display = display
        self._started_at = started_at
        self._first: tuple[int, float] | None = None

    async def watch(self, probe: LivenessProbe | None = None) -> bool:
        """Watch until the run ends; False: no node that `probe` looks for is left."""
        run_id = self._progress.new.run_id
        while await _is_running(self._storage, run_id):
            if probe is not None and not await probe.poll():
                return False
            await self._show(run_id)
            await REAL_TIME.sleep(POLL_SECONDS)
        await self._show(run_id)
        return True

    async def _show(self, run_id: UUID) -> None:
        funnel = await RunReports(self._storage.db).count_funnel(run_id)
        now = time.perf_counter()
        finished = funnel.scored + funnel.failed
        first_finished, first_at = self._first = self._first or (finished, now)
        seconds = now - first_at
        snapshot = RunSnapshot(
            funnel=funnel,
            row_count=self._progress.row_count,
            total_rows=len(self._progress.csv.rows),
            finished=finished,
            per_second=(finished - first_finished) / seconds if seconds > 0 else 0.0,
            seconds=now - self._started_at,
            currency=self._storage.settings.budget.currency,
        )
        self._display.show(snapshot)
