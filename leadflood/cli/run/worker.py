"""The work of `leadflood run`: rows in, then our own node or somebody else's until all is final."""

import time
from collections.abc import Callable
from uuid import UUID

import anyio
import msgspec

from leadflood.app import WHOLE_NODE, Storage, open_node
from leadflood.cli.console import say
from leadflood.cli.run.progress import Glimpse, Show
from leadflood.cli.status import list_stages
from leadflood.domain.leads import importing
from leadflood.domain.leads.import_service import ImportService
from leadflood.domain.leads.schemas import ImportRow, NewImport, ReadCsv
from leadflood.domain.overview import store as overview
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.queue import runs
from leadflood.engine.queue.heartbeat import register_installation
from leadflood.engine.queue.liveness import LivenessProbe
from leadflood.engine.queue.publisher import Publisher

CHUNK = 500
LOOK_SECONDS = 0.3
TRIES = 5
AGAIN = ("40", "55P03", "57014")


class _Import(msgspec.Struct):
    """How far the file is in."""

    new: NewImport
    read: ReadCsv
    row_count: int = 0


async def work_on(storage: Storage, new: NewImport, read: ReadCsv, began: float) -> bool:
    """Do a run to its end; tell whether another node did it."""
    beat = storage.settings.engine.heartbeat
    await register_installation(storage.db, storage.clock, storage.settings.mode)
    probe = LivenessProbe(storage.db, WHOLE_NODE, 3 * beat.beat_seconds)
    going = _Import(new, read)
    with Show() as show:
        watch = _Watch(storage, going, show, began)
        if not await _is_running(storage, new.run_id):
            return False
        await _say_paused(storage)
        if await probe.has_live_node():
            say("work:    a node lives on this database: it gets the run, this command watches")
            return await _hand_over(storage, going, watch, probe)
        async with (
            open_node(storage, only_runs=(new.run_id,)) as node,
            anyio.create_task_group() as group,
        ):
            group.start_soon(_fill, storage, going, node.publisher)
            await watch.until_end()
        return False


async def _say_paused(storage: Storage) -> None:
    """Say what would make the run wait for a person."""
    for stage in await list_stages(storage):
        if stage.paused:
            say(f"note:    {stage.name} is paused: `leadflood stage resume {stage.name}`")


async def _hand_over(
    storage: Storage, going: _Import, watch: "_Watch", probe: LivenessProbe
) -> bool:
    """Queue the rows and watch; when no node is there any more, go on by ourselves."""
    async with anyio.create_task_group() as group:
        group.start_soon(_fill, storage, going, storage.producer())
        if await watch.until_end(probe):
            return True
        say("work:    that node is gone: this command goes on by itself")
        async with open_node(storage, only_runs=(going.new.run_id,)):
            await watch.until_end()
    return False


async def _is_running(storage: Storage, run_id: UUID) -> bool:
    return (await runs.get(storage.db, run_id)).state == "running"


async def _fill(storage: Storage, going: _Import, publisher: Publisher) -> None:
    """Import what is not in yet, a chunk a transaction, each with the jobs of its leads."""
    service = ImportService(storage.ids, storage.clock)
    new, rows = going.new, going.read.rows
    async with storage.db.transaction() as tx:
        await service.start_import(tx, new, going.read)
    done = set(await importing.list_leads(storage.db, new.run_id))
    left = [row for row in rows if row.number not in done]
    going.row_count = len(rows) - len(left)
    for start in range(0, len(left), CHUNK):
        chunk = left[start : start + CHUNK]
        await _insert(service, new, chunk, publisher)
        going.row_count += len(chunk)
    await service.finish_import(storage.db, new.run_id)
    await runs.finish_loading(storage.db, new.run_id)


async def _insert(
    service: ImportService, new: NewImport, chunk: list[ImportRow], publisher: Publisher
) -> None:
    """Import one chunk; one that met another transaction is tried again, whole."""
    for tries_left in reversed(range(TRIES)):
        try:
            async with publisher.transaction() as publication:
                created = await service.import_rows(publication.tx, new, chunk)
                await publication.publish(created, run_id=new.run_id)
        except Exception as error:
            state = sqlstate_of(error)
            if not tries_left or state is None or not state.startswith(AGAIN):
                raise
            await REAL_TIME.sleep(0.1)
        else:
            return


class _Watch:
    """Shows a run until it ends."""

    def __init__(
        self, storage: Storage, going: _Import, show: Callable[[Glimpse], None], began: float
    ) -> None:
        self._storage = storage
        self._going = going
        self._show = show
        self._began = began
        self._first: tuple[int, float] | None = None

    async def until_end(self, probe: LivenessProbe | None = None) -> bool:
        """Watch; False when no node that `probe` knows is left."""
        run_id = self._going.new.run_id
        while await _is_running(self._storage, run_id):
            if probe is not None and not await probe.poll():
                return False
            await self._look(run_id)
            await REAL_TIME.sleep(LOOK_SECONDS)
        await self._look(run_id)
        return True

    async def _look(self, run_id: UUID) -> None:
        funnel = await overview.count_funnel(self._storage.db, run_id)
        now = time.perf_counter()
        done = funnel.scored + funnel.failed
        first_done, first_at = self._first = self._first or (done, now)
        seconds = now - first_at
        self._show(
            Glimpse(
                funnel=funnel,
                read=self._going.row_count,
                wanted=len(self._going.read.rows),
                done=done,
                per_second=(done - first_done) / seconds if seconds > 0 else 0.0,
                seconds=now - self._began,
                currency=self._storage.settings.budget.currency,
            )
        )
