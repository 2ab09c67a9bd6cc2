"""Our subject: one node of the real engine on toy stages, one phase at a time.

    drain    pre-queued jobs, in chunks as the floor does it: filled while paused, timed until the
             database has nothing left
    chain    items going round five durable stages, until the time is up and the last has arrived
    idle     the time from enqueue to the handler's first line
    once     whatever is queued already, to its end or for the given time
    fill     a producer: queues jobs and ends
    produce  a producer: queues one job now and then
    rest     nothing at all

Handlers, fence, history, metrics and logs are what a real node has.
"""

import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, perf_counter_ns
from typing import Any, ClassVar

import anyio
import msgspec
import uvloop
from leadflood.engine.db import migrations
from leadflood.engine.db.pool import (
    Database,
    Settings as DatabaseSettings,
    open_database,
    own_connection,
)
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.obs import log
from leadflood.engine.queue import runs, switches
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.event_routes import EventRoutes, Step
from leadflood.engine.queue.outcome import Done, Outcome
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.stage import FinishedTask, FollowUp, Policy, Stage
from leadflood.engine.queue.wakeups import Wakeups
from leadflood.engine.runtime import Engine, EngineParts, Settings, running_engine
from typing_extensions import override

from benchmarks.world import CLOCK, SQL, Peak, SubjectFailed, percentile, print_line, rss_mb

LEGS = 5
FILL_BATCH = 5_000
X18 = "x" * 18
PAD = {"field_0": X18, "field_1": X18, "field_2": X18, "field_3": X18, "field_4": X18}
LONGEST_GAP_SECONDS = 0.040
LEAST_GAP_SECONDS = 0.010
SETTLED_POLL_SECONDS = 0.002


class JobMade(Event, frozen=True, kw_only=True, tag="bench.job.made"):
    """A job of 200 bytes that does nothing."""

    internal: ClassVar[bool] = True
    n: int
    sent_ns: int = 0
    field_0: str
    field_1: str
    field_2: str
    field_3: str
    field_4: str


LEG_FIELDS = [("n", int), ("hop", int), *[(name, str) for name in PAD]]


def make_legs(*, logged: bool) -> list[type[Event]]:
    """Make an event type for each leg, logged or only routed."""
    return [
        msgspec.defstruct(
            f"Leg{leg}",
            LEG_FIELDS,
            bases=(Event,),
            namespace={"internal": not logged},
            frozen=True,
            kw_only=True,
            tag=f"bench.leg{leg}.begun",
        )
        for leg in range(LEGS)
    ]


class DrainStage(Stage[JobMade, JobMade, None]):
    """Counts each job."""

    name = "bench.drain"
    task = JobMade

    def __init__(self, policy: Policy, jobs: int) -> None:
        super().__init__(policy)
        self.times = bytearray(jobs)
        self.waits_ms: list[float] = []

    @override
    async def work(self, item: JobMade) -> Outcome[None]:
        if item.sent_ns:
            self.waits_ms.append((perf_counter_ns() - item.sent_ns) / 1e6)
        self.times[item.n] += 1
        return Done(None)


class Round:
    """The items on their way: how many hops each has made, and whether to go on."""

    def __init__(self, items: int) -> None:
        self.hops = [0] * items
        self.is_over = False
        self.faults = 0


class LegStage(Stage[Any, Any, None]):
    """One leg of the round; the last one starts the first again until the time is up."""

    name = "bench.leg"

    def __init__(self, policy: Policy, leg: int, legs: Sequence[type[Event]], way: Round) -> None:
        super().__init__(policy)
        self._next: Any = legs[(leg + 1) % LEGS]
        self._is_last = leg == LEGS - 1
        self._way = way

    @override
    async def work(self, item: Any) -> Outcome[None]:
        hops = self._way.hops
        if hops[item.n] != item.hop:
            self._way.faults += 1
        hops[item.n] = item.hop + 1
        return Done(None)

    @override
    async def commit(
        self, tx: Tx, finished: Sequence[FinishedTask[Any, None]]
    ) -> Sequence[FollowUp]:
        if self._is_last and self._way.is_over:
            return ()
        return [
            job.follow_up(self._next(n=job.task.n, hop=job.task.hop + 1, **PAD)) for job in finished
        ]


def make_leg_stages(legs: Sequence[type[Event]]) -> list[type[LegStage]]:
    """Make a stage for each leg's event."""
    return [
        type(f"Leg{leg}", (LegStage,), {"name": f"bench.leg{leg}", "task": event})
        for leg, event in enumerate(legs)
    ]


DRAIN_ROUTES = EventRoutes([Step(on=JobMade, run=DrainStage)])


@asynccontextmanager
async def migrated_database(
    spec: dict[str, Any],
) -> AsyncIterator[tuple[Database, DatabaseSettings]]:
    """Open the measurement's database, migrated."""
    settings = DatabaseSettings(url=spec["url"])
    await migrations.upgrade(settings)
    async with open_database(settings) as db:
        yield db, settings


@asynccontextmanager
async def engine_on(
    db: Database,
    settings: DatabaseSettings,
    routes: EventRoutes,
    stages: Sequence[Stage[Any, Any, Any]],
) -> AsyncIterator[Engine]:
    """Run a node on these stages."""
    with TemporaryDirectory() as folder:
        parts = EngineParts(
            db=db,
            database=settings,
            clock=CLOCK,
            ids=Ids(CLOCK),
            routes=routes,
            settings=Settings(),
            lock_folder=Path(folder) / "nodes",
        )
        async with running_engine(parts, lambda _: stages) as engine:
            yield engine


def producer_on(db: Database, routes: EventRoutes) -> Publisher:
    """Make a publisher of a process that is no node."""
    wakeups = Wakeups()
    dispatcher = Dispatcher(routes, {DrainStage.name: None}, None, wakeups, Ids(CLOCK), CLOCK)  # type: ignore[dict-item] - a producer fills no channel
    return Publisher(db, dispatcher, None, wakeups)


async def fill(db: Database, publisher: Publisher, jobs: int, many_runs: int = 0) -> None:
    """Queue jobs through the publisher, in the runs given or in none."""
    batch = jobs // many_runs if many_runs else FILL_BATCH
    for begin in range(0, jobs, batch):
        events = [JobMade(n=n, **PAD) for n in range(begin, min(begin + batch, jobs))]
        async with publisher.transaction() as publication:
            run_id = None
            if many_runs:
                new = runs.NewRun(id=Ids(CLOCK).new(), kind="bench")
                run_id = await runs.create(publication.tx, new, CLOCK.now())
            await publication.publish(events, run_id=run_id)
    await db.execute(SQL.vacuum_jobs)


async def wait_until_settled(db: Database, engine: Engine, total: int) -> None:
    """Wait until the engine has completed all jobs and the database has none left."""
    metrics = [runner.metrics for runner in engine.runners.values()]
    while sum(stage.completed for stage in metrics) < total:
        if any(stage.last_error for stage in metrics):
            raise SubjectFailed(str(engine.status()))
        await CLOCK.sleep(SETTLED_POLL_SECONDS)
    while await db.fetch_value(SQL.has_jobs):
        await CLOCK.sleep(SETTLED_POLL_SECONDS)


async def find_faults(db: Database, jobs: int, times: bytearray | None = None) -> list[str]:
    """Return what makes the measurement void: jobs lost, left over or run twice."""
    faults = []
    if (completed := await db.fetch_value(SQL.count_history)) != jobs:
        faults.append(f"history has {completed} of {jobs} jobs")
    if remaining := await db.fetch_value(SQL.count_jobs):
        faults.append(f"{remaining} jobs are left")
    if times is not None and times.count(1) != jobs:
        faults.append(f"{jobs - times.count(1)} handlers did not run exactly once")
    return faults


async def drain(spec: dict[str, Any]) -> dict[str, Any]:
    """Drain chunk after chunk; `keeps_dead` leaves the dead rows where they are."""
    chunk, moved, spent = spec["jobs"], 0, 0.0
    faults: list[str] = []
    stage = DrainStage(Policy(), chunk)
    async with (
        migrated_database(spec) as (db, settings),
        engine_on(db, settings, DRAIN_ROUTES, [stage]) as engine,
    ):
        publisher, peak = producer_on(db, DRAIN_ROUTES), Peak()
        end_at = perf_counter() + spec.get("wall_seconds", 0)
        while spent < spec["seconds"] or perf_counter() < end_at:
            await pause(engine, db)
            if not spec.get("keeps_dead"):
                await db.execute(SQL.empty_queue)
            await fill(db, publisher, chunk)
            stage.times = bytearray(chunk)
            started_at = perf_counter()
            async with anyio.create_task_group() as group:
                group.start_soon(peak.watch)
                await switches.resume_stage(db, stage.name)
                await engine.switches.refresh()
                await wait_until_settled(db, engine, moved + chunk)
                spent += perf_counter() - started_at
                group.cancel_scope.cancel()
            moved += chunk
            faults += await find_faults(db, moved)
            faults += ["a handler did not run exactly once"] * (stage.times.count(1) != chunk)
    return {"per_s": moved / spent, "jobs": moved, "seconds": spent, "faults": faults}


async def pause(engine: Engine, db: Database) -> None:
    """Pause the node while jobs are queued."""
    await switches.pause_stage(db, CLOCK, DrainStage.name, "benchmark", "filling")
    await engine.switches.refresh()


async def chain(spec: dict[str, Any]) -> dict[str, Any]:
    """Send items round the five stages."""
    legs = make_legs(logged=spec["logged"])
    kinds = make_leg_stages(legs)
    routes = EventRoutes(
        [Step(on=event, run=kind) for event, kind in zip(legs, kinds, strict=True)]
    )
    way = Round(spec["items"])
    policy = Policy(concurrency=spec.get("concurrency", 1_000))
    stages = [kind(policy, leg, legs, way) for leg, kind in enumerate(kinds)]
    async with (
        migrated_database(spec) as (db, settings),
        engine_on(db, settings, routes, stages) as engine,
    ):
        first: Any = legs[0]
        started_at = perf_counter()
        async with engine.publisher.transaction() as publication:
            await publication.publish([first(n=n, hop=0, **PAD) for n in range(spec["items"])])
        await CLOCK.sleep(spec["seconds"])
        way.is_over = True
        while await db.fetch_value(SQL.has_jobs):
            await CLOCK.sleep(SETTLED_POLL_SECONDS)
        spent, hops = perf_counter() - started_at, sum(way.hops)
        faults = await find_faults(db, hops)
        if way.faults or any(hop_count % LEGS for hop_count in way.hops):
            faults.append(f"{way.faults} hops came twice or out of order")
        events = await db.fetch_value(SQL.count_events)
        if events != (hops if spec["logged"] else 0):
            faults.append(f"the event log has {events} rows for {hops} hops")
    return {"per_s": hops / spent, "jobs": hops, "seconds": spent, "faults": faults}


async def idle(spec: dict[str, Any]) -> dict[str, Any]:
    """Measure the time of an idle node from enqueue to the handler's first line."""
    jobs = spec["jobs"]
    stage = DrainStage(Policy(), jobs)
    async with (
        migrated_database(spec) as (db, settings),
        engine_on(db, settings, DRAIN_ROUTES, [stage]) as engine,
    ):
        await CLOCK.sleep(0.5)
        print_line({"ready": True})
        if spec["in_process"]:
            await produce_into(engine.publisher, jobs)
        await wait_until_settled(db, engine, jobs)
        faults = await find_faults(db, jobs, stage.times)
    waits = stage.waits_ms
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "faults": faults}


async def produce_into(publisher: Publisher, jobs: int) -> None:
    """Queue one job after each random gap."""
    rng = random.Random(7)  # noqa: S311 - gaps, not secrets
    for n in range(jobs):
        await CLOCK.sleep(rng.uniform(LEAST_GAP_SECONDS, LONGEST_GAP_SECONDS))
        sent_ns = perf_counter_ns()
        async with publisher.transaction() as publication:
            await publication.publish([JobMade(n=n, sent_ns=sent_ns, **PAD)])


async def once(spec: dict[str, Any]) -> dict[str, Any]:
    """Work on the queued jobs, to the end or for `seconds`; measure the memory too."""
    jobs, peak = spec["jobs"], Peak()
    stage = DrainStage(Policy(), jobs)
    async with migrated_database(spec) as (db, settings):
        started_at = perf_counter()
        async with (
            engine_on(db, settings, DRAIN_ROUTES, [stage]) as engine,
            anyio.create_task_group() as group,
        ):
            group.start_soon(peak.watch)
            with anyio.move_on_after(spec.get("seconds")):
                await wait_until_settled(db, engine, jobs)
            spent = perf_counter() - started_at
            completed = engine.runners[stage.name].metrics.completed
            group.cancel_scope.cancel()
        remaining = await db.fetch_value(SQL.count_jobs)
        history = await db.fetch_value(SQL.count_history)
    faults = []
    if remaining + history != jobs or stage.times.count(0) != remaining:
        faults.append(f"{history} in history and {remaining} left are not {jobs}")
    if max(stage.times) > 1:
        faults.append("a handler ran twice")
    return {"per_s": completed / spent, "jobs": completed, "rss_mb": peak.mb, "faults": faults}


async def fill_only(spec: dict[str, Any]) -> dict[str, Any]:
    """Queue jobs, and nothing else."""
    async with migrated_database(spec) as (db, _):
        started_at = perf_counter()
        await fill(db, producer_on(db, DRAIN_ROUTES), spec["jobs"], spec.get("runs", 0))
        return {"per_s": spec["jobs"] / (perf_counter() - started_at), "faults": []}


async def produce(spec: dict[str, Any]) -> dict[str, Any]:
    """Queue one job after each random gap, from another process."""
    settings = DatabaseSettings(url=spec["url"])
    async with open_database(settings) as db:
        publisher = producer_on(db, DRAIN_ROUTES)
        await produce_into(publisher, spec["jobs"])
    return {"faults": []}


async def rest(spec: dict[str, Any]) -> dict[str, Any]:
    """Measure the memory of a node without work."""
    stage = DrainStage(Policy(), spec["jobs"])
    async with (
        migrated_database(spec) as (db, settings),
        engine_on(db, settings, DRAIN_ROUTES, [stage]),
    ):
        await CLOCK.sleep(spec["seconds"])
        return {"rss_mb": rss_mb(), "faults": []}


async def hold_snapshot(spec: dict[str, Any]) -> dict[str, Any]:
    """Keep a snapshot open, as a forgotten report would."""
    settings = DatabaseSettings(url=spec["url"])
    async with (
        own_connection(settings) as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        await Tx(connection).fetch_value(SQL.count_events)
        print_line({"ready": True})
        end_at = perf_counter() + spec["seconds"]
        while perf_counter() < end_at:
            await CLOCK.sleep(1)
            await Tx(connection).fetch_value(SQL.server_version)
    return {"faults": []}


PHASES = {
    "drain": drain,
    "chain": chain,
    "idle": idle,
    "once": once,
    "fill": fill_only,
    "produce": produce,
    "rest": rest,
    "snapshot": hold_snapshot,
}


def main() -> None:
    spec = json.loads(sys.argv[1])
    log.configure(log.Settings())
    print_line(uvloop.run(PHASES[spec["phase"]](spec)))


if __name__ == "__main__":
    main()
