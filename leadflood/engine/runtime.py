"""The engine on one node: stages, maintenance, heartbeat, started in order, stopped in reverse."""

import asyncio
import gc
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import msgspec

from leadflood.engine.actors.channel import JobChannel
from leadflood.engine.actors.supervisor import Child, Supervisor, first_cause
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.listen import Listener
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings
from leadflood.engine.db.tx import Reader
from leadflood.engine.disk import DiskWatch, Settings as DiskSettings
from leadflood.engine.ids import Ids
from leadflood.engine.obs.log import log
from leadflood.engine.queue import repository
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.event_routes import EventRoutes
from leadflood.engine.queue.guard import (
    Guard,
    Settings as HeartbeatSettings,
    register_installation,
)
from leadflood.engine.queue.heartbeat import Heartbeat, NodeEvicted
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.maintenance.loop import attempt
from leadflood.engine.queue.maintenance.pruner import Pruner
from leadflood.engine.queue.maintenance.reconciler import Reconciler
from leadflood.engine.queue.maintenance.rescuer import Rescuer
from leadflood.engine.queue.maintenance.run_watcher import RunWatcher
from leadflood.engine.queue.maintenance.settings import Settings as MaintenanceSettings
from leadflood.engine.queue.maintenance.timer import Timer
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.parts import CrashPoint, QueueParts, no_crash
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.stage import Stage
from leadflood.engine.queue.stage_runner import StageRunner, StageStatus
from leadflood.engine.queue.switches import SWITCH_CHANGED, Switches
from leadflood.engine.queue.wakeups import Wakeups

NOTIFY_CHANNEL = "leadflood"
NOTIFY_EVERY_SECONDS = 0.02


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the engine behaves.

    `grace_seconds`: how long work in flight may take at shutdown.
    `witness_path`: a folder on another disk than the data folder, in which is written what was seen
    of the database: it shows a whole data folder that is put back; empty: none.
    """

    grace_seconds: float = 20.0
    witness_path: str = ""
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    disk: DiskSettings = DiskSettings()


class EngineParts(msgspec.Struct, frozen=True):
    """Parts that an engine is built from.

    `db` is the pool, `database` how to connect for LISTEN and the heartbeat.
    `clock` and `ids` are the time and the ids of everything it writes.
    `routes` are the steps of the pipeline.
    `mode` is that of the installation: live or sandbox, for good.
    `name` is shared by the nodes of one installation; `lock_folder` holds their lock files
    and witnesses.
    `seed` makes the jitter repeatable; None: it differs.
    `only_runs` are the only runs it works for; empty: all.
    `crash_point` is called at the named points of each commit: tests end the process there.
    `disk` is watched where the database is on it; None: it is not ours.
    """

    db: Database
    database: DatabaseSettings
    clock: Clock
    ids: Ids
    routes: EventRoutes
    settings: Settings
    mode: str = "live"
    name: str = "leadflood"
    lock_folder: Path | None = None
    seed: int | None = None
    only_runs: tuple[UUID, ...] = ()
    crash_point: CrashPoint = no_crash
    disk: DiskWatch | None = None


MakeStages = Callable[["Engine"], Sequence[Stage[Any, Any, Any]]]
MakeActors = Callable[["Engine"], Sequence[Child]]


class Engine:
    """One life of a node: from entering to leaving or being evicted."""

    def __init__(self, parts: EngineParts, node: Node, guard: Guard) -> None:
        maintenance = parts.settings.maintenance
        self.parts = parts
        self.node = node
        self.guard = guard
        self.wakeups = Wakeups()
        self.wakeups.register_notifier(self._record_outward)
        self.channels: dict[str, JobChannel[Job]] = {}
        self.dispatcher = Dispatcher(
            parts.routes, self.channels, node, self.wakeups, parts.ids, parts.clock
        )
        self.publisher = Publisher(parts.db, self.dispatcher, node, self.wakeups)
        self.queue = _queue_parts(parts, node, self.dispatcher, self.wakeups)
        self.runners: dict[str, StageRunner] = {}
        self.disk = parts.disk or DiskWatch(None, parts.settings.disk)
        self.switches = Switches(parts.db, parts.clock, self.runners, self.disk)
        self.rescuer = Rescuer(parts.db, parts.clock, self.wakeups, maintenance)
        self.reconciler = Reconciler(parts.db, node, self.wakeups, maintenance)
        self.run_watcher = RunWatcher(self.queue, self.publisher, self.runners, maintenance)
        self.extra: list[Child] = []
        self.supervisor = Supervisor("leadflood", [])
        self._outward: set[str] = set()
        self._outward_ready = asyncio.Event()

    def add_stages(self, stages: Sequence[Stage[Any, Any, Any]]) -> None:
        """Put stages to work on this node."""
        for stage in stages:
            channel: JobChannel[Job] = JobChannel(stage.policy.concurrency)
            self.channels[stage.name] = channel
            self.runners[stage.name] = StageRunner(stage, channel, self.queue, self.parts.only_runs)

    def build_tree(self) -> Supervisor:
        """List everything that runs."""
        runners = [runner.supervisor().as_child() for runner in self.runners.values()]
        maintenance = Supervisor("maintenance", self._list_maintenance())
        self.supervisor = Supervisor("leadflood", [*runners, maintenance.as_child(), *self.extra])
        return self.supervisor

    def _list_maintenance(self) -> list[Child]:
        parts, settings = self.parts, self.parts.settings.maintenance
        timer = Timer(parts.db, parts.clock, self.wakeups, settings)
        pruner = Pruner(parts.db, self.guard, settings)
        return [
            Child("timer", timer.run),
            Child("rescuer", self.rescuer.run),
            Child("reconciler", self.reconciler.run),
            Child("runs", self.run_watcher.run),
            Child("switches", self.switches.run),
            Child("listener", self._listen),
            Child("notifier", self._notify_others),
            Child("pruner", pruner.run, optional=True),
            Child("disk", self.disk.run),
            *self._list_witnesses(),
        ]

    def _list_witnesses(self) -> list[Child]:
        if not self.parts.settings.witness_path:
            return []
        return [Child("witness", self.guard.keep_outside, optional=True)]

    def _record_outward(self, stage: str) -> None:
        if self.node.has_peers:
            self._outward.add(stage)
            self._outward_ready.set()

    async def _notify_others(self) -> None:
        """Notify the other nodes of new work, rate-limited; without peers nothing is sent."""
        while True:
            await self._outward_ready.wait()
            self._outward_ready.clear()
            stages, self._outward = self._outward, set()
            for stage in sorted(stages):
                await attempt(partial(repository.notify, self.parts.db, stage), "notifier")
            await REAL_TIME.sleep(NOTIFY_EVERY_SECONDS)

    async def _listen(self) -> None:
        listener = Listener(self.parts.database, [NOTIFY_CHANNEL], REAL_TIME)
        async with aclosing(listener.watch()) as heard:
            async for payload in heard:
                if payload == SWITCH_CHANGED:
                    await attempt(self.switches.refresh, "switches")
                elif payload:
                    self.wakeups.wake(payload, is_from_outside=True)
                else:
                    self.wakeups.wake_all()
                    self.wakeups.wake_timer()

    async def stop(self) -> None:
        """Stop taking work, give back what is not started, finish what is in flight."""
        for runner in self.runners.values():
            runner.stop_claiming()
        with anyio.move_on_after(self.parts.settings.grace_seconds):
            await self.node.wait_for_claiming()
            while True:
                for runner in self.runners.values():
                    await runner.release_unstarted()
                if all(runner.is_idle() for runner in self.runners.values()):
                    break
                await REAL_TIME.sleep(0.01)

    def status(self) -> list[StageStatus]:
        """Return the status of each stage."""
        return [runner.status() for runner in self.runners.values()]

    def why_not_ready(self) -> list[str]:
        """Return why this node cannot work; empty when it can."""
        stalls = [runner.committer.stall_reason for runner in self.runners.values()]
        return [reason for reason in (*self._troubles(), *stalls) if reason]

    def _troubles(self) -> tuple[str, str]:
        return self.guard.clock_trouble(), self.disk.stop_reason()

    async def find_obstacle(self, tx: Reader) -> str | None:
        """Return why nothing may be sent in a transaction; None: nothing stands against it."""
        return self.disk.stop_reason() or await self.guard.find_obstacle(tx, self.node.era)


def _queue_parts(
    parts: EngineParts, node: Node, dispatcher: Dispatcher, wakeups: Wakeups
) -> QueueParts:
    seed = parts.seed if parts.seed is not None else secrets.randbits(64)
    return QueueParts(
        db=parts.db,
        node=node,
        dispatcher=dispatcher,
        wakeups=wakeups,
        clock=parts.clock,
        rng=random.Random(seed),  # noqa: S311 - jitter, not secrets
        crash_point=parts.crash_point,
    )


def calm_collector() -> None:
    """Run the cycle collector less often: jobs are short-lived and have no cycles.

    Measured: at the default thresholds a third of the time of a busy chain went to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@asynccontextmanager
async def running_engine(
    parts: EngineParts,
    make_stages: MakeStages,
    make_actors: MakeActors | None = None,
    on_engine: Callable[[Engine], None] | None = None,
) -> AsyncIterator[Engine]:
    """Run a node until the block ends; an evicted node starts again, empty, under a new id.

    The engine yielded is the first life; `on_engine` is called with each.
    """
    await register_installation(parts.db, parts.clock, parts.mode)
    calm_collector()
    stopping = asyncio.Event()
    first: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
    life = _Lives(parts, make_stages, make_actors, on_engine, stopping, first)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        engine = await first
        try:
            yield engine
        finally:
            stopping.set()
            with anyio.CancelScope(shield=True):
                await life.ended.wait()
            group.cancel_scope.cancel()


async def _end_when_evicted(node: Node) -> None:
    """End this life as soon as anybody learns of it, not at the next beat. Raises: NodeEvicted."""
    await node.evicted.wait()
    raise NodeEvicted(f"node {node.id} was taken for dead")


class _Lives:
    """The lives of a node, one after the other."""

    def __init__(
        self,
        parts: EngineParts,
        make_stages: MakeStages,
        make_actors: MakeActors | None,
        on_engine: Callable[[Engine], None] | None,
        stopping: asyncio.Event,
        first: "asyncio.Future[Engine]",
    ) -> None:
        self._parts = parts
        self._make_stages = make_stages
        self._make_actors = make_actors
        self._on_engine = on_engine
        self._stopping = stopping
        self._first = first
        outside = Path(parts.settings.witness_path) if parts.settings.witness_path else None
        self._guard = Guard(parts.clock, parts.settings.heartbeat, parts.lock_folder, outside)
        self.ended = asyncio.Event()

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    await self._live()
                except NodeEvicted as error:
                    log.error("engine.node.restarting", reason=str(error))
        except BaseException as error:
            if not self._first.done():
                self._first.set_exception(error)
                return
            raise
        finally:
            self.ended.set()

    async def _live(self) -> None:
        parts = self._parts
        watch = Heartbeat(
            parts.database,
            parts.clock,
            self._guard,
            parts.name,
            parts.lock_folder,
            self._after_eviction,
        )
        async with watch.enter() as node:
            engine = Engine(parts, node, self._guard)
            self._engine = engine
            engine.add_stages(self._make_stages(engine))
            if self._make_actors is not None:
                engine.extra = list(self._make_actors(engine))
            engine.build_tree()
            await engine.switches.refresh()
            await engine.rescuer.rescue()
            try:
                await self._live_until_stopped(engine, watch)
            except BaseExceptionGroup as group:
                if (evictions := group.subgroup(NodeEvicted)) is None:
                    raise
                raise NodeEvicted(str(first_cause(evictions))) from group

    def _after_eviction(self) -> None:
        if (engine := getattr(self, "_engine", None)) is not None:
            engine.wakeups.wake_all()

    async def _live_until_stopped(self, engine: Engine, watch: Heartbeat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, engine.node)
            group.start_soon(_end_when_evicted, engine.node)
            group.start_soon(engine.supervisor.run)
            if self._on_engine is not None:
                self._on_engine(engine)
            if not self._first.done():
                self._first.set_result(engine)
            await self._stopping.wait()
            await engine.stop()
            group.cancel_scope.cancel()
