"""The engine on one node: stages, duties and the beat, started in order, stopped in reverse."""

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

from leadflood.engine.actors.channel import Channel
from leadflood.engine.actors.supervisor import Child, Supervisor, first_cause
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.listen import Listener
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings
from leadflood.engine.ids import Ids
from leadflood.engine.obs.log import log
from leadflood.engine.queue import store
from leadflood.engine.queue.beat import Beat, Buried, Settings as BeatSettings, settle_in
from leadflood.engine.queue.committer import CrashPoint, no_crash
from leadflood.engine.queue.control import CHANGED, Control
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.duties import (
    Pruner,
    Reconciler,
    Rescuer,
    RunWatcher,
    Settings as DutySettings,
    Timer,
    attempt,
)
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.line import Line, LineStatus
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.routes import Routes
from leadflood.engine.queue.stage import Stage
from leadflood.engine.queue.wakes import Wakes

NOTIFY_CHANNEL = "leadflood"
NOTIFY_EVERY_SECONDS = 0.02


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the engine behaves. `grace_seconds`: how long work in flight may take at shutdown."""

    grace_seconds: float = 20.0
    mode: str = "live"
    beat: BeatSettings = BeatSettings()
    duties: DutySettings = DutySettings()


class Parts(msgspec.Struct, frozen=True):
    """What an engine is built from."""

    db: Database
    database: DatabaseSettings
    clock: Clock
    ids: Ids
    routes: Routes
    settings: Settings
    name: str = "leadflood"
    lock_folder: Path | None = None
    seed: int | None = None
    only_runs: tuple[UUID, ...] = ()
    crash_point: CrashPoint = no_crash


MakeStages = Callable[["Engine"], Sequence[Stage[Any, Any, Any]]]
MakeActors = Callable[["Engine"], Sequence[Child]]


class Engine:
    """One life of a node: from entering to leaving or being buried."""

    def __init__(self, parts: Parts, node: Node) -> None:
        self.parts = parts
        self.node = node
        self.wakes = Wakes()
        self.rng = random.Random(parts.seed if parts.seed is not None else secrets.randbits(64))  # noqa: S311 - jitter, not secrets
        self.channels: dict[str, Channel[Job]] = {}
        self.dispatcher = Dispatcher(
            parts.routes, self.channels, node, self.wakes, parts.ids, parts.clock
        )
        self.publisher = Publisher(parts.db, self.dispatcher, node, self.wakes)
        self.lines: dict[str, Line] = {}
        self.control = Control(parts.db, parts.clock, self.lines)
        self._outward: set[str] = set()
        self._outward_ready = asyncio.Event()
        self.wakes.register_outward(self._note_outward)
        self.rescuer = Rescuer(parts.db, parts.clock, self.wakes, parts.settings.duties)
        self.reconciler = Reconciler(parts.db, node, self.wakes, parts.settings.duties)
        self.extra: list[Child] = []
        self.supervisor = Supervisor("leadflood", [])

    def add_stages(self, stages: Sequence[Stage[Any, Any, Any]]) -> None:
        """Put stages to work on this node."""
        parts = self.parts
        for stage in stages:
            channel: Channel[Job] = Channel(stage.policy.concurrency)
            self.channels[stage.name] = channel
            self.lines[stage.name] = Line(
                stage, channel, parts.db, self.node, self.dispatcher, self.wakes, parts.clock,
                self.rng, parts.only_runs, parts.crash_point,
            )  # fmt: skip

    def build_tree(self) -> Supervisor:
        """List everything that runs."""
        parts, settings = self.parts, self.parts.settings.duties
        self.run_watcher = RunWatcher(
            parts.db, parts.clock, self.node, self.wakes, self.publisher,
            {name: line.committer for name, line in self.lines.items()},
            {name: line.decode for name, line in self.lines.items()},
            settings,
        )  # fmt: skip
        timer = Timer(parts.db, parts.clock, self.wakes, settings)
        pruner = Pruner(parts.db, parts.clock, settings)
        duty = Supervisor(
            "duties",
            [
                Child("timer", timer.run),
                Child("rescuer", self.rescuer.run),
                Child("reconciler", self.reconciler.run),
                Child("runs", self.run_watcher.run),
                Child("control", self.control.run),
                Child("listener", self._listen),
                Child("notifier", self._tell_others),
                Child("pruner", pruner.run, optional=True),
            ],
        )
        self.supervisor = Supervisor(
            "leadflood",
            [
                *[line.supervisor().as_child() for line in self.lines.values()],
                duty.as_child(),
                *self.extra,
            ],
        )
        return self.supervisor

    def _note_outward(self, stage: str) -> None:
        if self.node.has_company:
            self._outward.add(stage)
            self._outward_ready.set()

    async def _tell_others(self) -> None:
        """Tell the other nodes of new work, rate-limited; nobody is told while nobody listens."""
        while True:
            await self._outward_ready.wait()
            self._outward_ready.clear()
            stages, self._outward = self._outward, set()
            for stage in sorted(stages):
                await attempt(partial(store.notify, self.parts.db, stage), "notifier")
            await REAL_TIME.sleep(NOTIFY_EVERY_SECONDS)

    async def _listen(self) -> None:
        listener = Listener(self.parts.database, [NOTIFY_CHANNEL], REAL_TIME)
        async with aclosing(listener.watch()) as heard:
            async for payload in heard:
                if payload == CHANGED:
                    await attempt(self.control.look, "control")
                elif payload:
                    self.wakes.wake(payload, is_from_outside=True)
                else:
                    self.wakes.wake_all()
                    self.wakes.wake_timer()

    async def stop(self) -> None:
        """Stop taking work, give back what is not started, finish what is in flight."""
        for line in self.lines.values():
            line.stop_taking()
        with anyio.move_on_after(self.parts.settings.grace_seconds):
            await self.node.wait_for_claiming()
            while True:
                for line in self.lines.values():
                    await line.give_back_unstarted()
                if all(line.is_idle() for line in self.lines.values()):
                    break
                await REAL_TIME.sleep(0.01)

    def status(self) -> list[LineStatus]:
        """Tell how each stage goes."""
        return [line.status() for line in self.lines.values()]

    def why_not_ready(self) -> list[str]:
        """Tell what keeps this node from working; empty when it works."""
        return [line.committer.stall_reason for line in self.lines.values()
                if line.committer.stall_reason is not None]  # fmt: skip


def calm_collector() -> None:
    """Let the cycle collector look less often: jobs are short-lived and have no cycles.

    Measured: at the default thresholds a third of the time of a busy chain went to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@asynccontextmanager
async def running_engine(
    parts: Parts,
    make_stages: MakeStages,
    make_actors: MakeActors | None = None,
    on_engine: Callable[[Engine], None] | None = None,
) -> AsyncIterator[Engine]:
    """Run a node until the block ends; a buried node starts again, empty, under a new id.

    The engine yielded is the first life; `on_engine` is told of each.
    """
    era = await settle_in(parts.db, parts.clock, parts.settings.mode)
    calm_collector()
    stopping = asyncio.Event()
    first: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
    life = _Lives(parts, make_stages, make_actors, on_engine, stopping, first)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run, era)
        engine = await first
        try:
            yield engine
        finally:
            stopping.set()
            with anyio.CancelScope(shield=True):
                await life.ended.wait()
            group.cancel_scope.cancel()


class _Lives:
    """The lives of a node, one after the other."""

    def __init__(
        self,
        parts: Parts,
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
        self.ended = asyncio.Event()

    async def run(self, era: int) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    await self._live(era)
                except Buried as error:
                    log.error("engine.node.restarting", reason=str(error))
        except BaseException as error:
            if not self._first.done():
                self._first.set_exception(error)
                return
            raise
        finally:
            self.ended.set()

    async def _live(self, era: int) -> None:
        parts = self._parts
        watch = Beat(
            parts.database, parts.clock, parts.settings.beat, parts.name, parts.lock_folder,
            self._after_burial,
        )  # fmt: skip
        async with watch.enter(era) as node:
            engine = Engine(parts, node)
            self._engine = engine
            engine.add_stages(self._make_stages(engine))
            if self._make_actors is not None:
                engine.extra = list(self._make_actors(engine))
            engine.build_tree()
            await engine.control.look()
            await engine.rescuer.rescue()
            try:
                await self._live_until_stopped(engine, watch)
            except BaseExceptionGroup as group:
                if (burials := group.subgroup(Buried)) is None:
                    raise
                raise Buried(str(first_cause(burials))) from group

    def _after_burial(self) -> None:
        if (engine := getattr(self, "_engine", None)) is not None:
            engine.wakes.wake_all()

    async def _live_until_stopped(self, engine: Engine, watch: Beat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, engine.node)
            group.start_soon(engine.supervisor.run)
            if self._on_engine is not None:
                self._on_engine(engine)
            if not self._first.done():
                self._first.set_result(engine)
            await self._stopping.wait()
            await engine.stop()
            group.cancel_scope.cancel()
