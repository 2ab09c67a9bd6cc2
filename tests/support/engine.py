"""Toy stages on a real engine: nodes that a test steps by hand, or that run whole.

`toy.make` starts on ThingRequested, `toy.use` on ThingMade and ThingRouted. Each commit of a toy
stage writes one `toy` row for each finished job, so that lost and doubled work is seen.
EngineBench holds the database; `await bench.node()` enters a SteppedNode, on which a test calls
claim, settle and publish itself; `await bench.run()` runs an engine in real time.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
from leadflood.engine.clock import REAL_TIME, Clock, ManualClock, SystemClock
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.event_routes import EventRoutes, Step
from leadflood.engine.queue.guard import Guard, Settings as HeartbeatSettings
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.maintenance.settings import Settings as MaintenanceSettings
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.outcome import Done, Outcome
from leadflood.engine.queue.parts import CrashPoint
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage
from leadflood.engine.queue.stage_runner import StageRunner
from leadflood.engine.queue.switches import pause_stage
from leadflood.engine.runtime import Engine, EngineParts, Settings, running_engine
from typing_extensions import override

from tests.support.statements import sql

QUICK_SETTINGS = Settings(
    grace_seconds=2.0,
    heartbeat=HeartbeatSettings(beat_seconds=0.05, dead_after_seconds=1.0),
    maintenance=MaintenanceSettings(
        timer_poll_seconds=5.0, rescue_seconds=0.05, reconcile_seconds=30.0, runs_seconds=0.05
    ),
)


class ThingRequested(Event, frozen=True, tag="toy.thing.wanted"):
    """Starts `toy.make`; `key` makes its job unique within its run."""

    number: int = 0
    key: str | None = None

    @override
    def job_key(self) -> str | None:
        return self.key


class ThingMade(Event, frozen=True, tag="toy.thing.made"):
    """Starts `toy.use`."""

    number: int = 0


class ThingLogged(Event, frozen=True, tag="toy.thing.noted"):
    """Starts no stage: it is only written to the event log."""

    number: int = 0


class ThingRouted(Event, frozen=True, tag="toy.thing.whispered"):
    """Starts `toy.use`, but is never written to the event log."""

    internal = True
    number: int = 0


MAKE, USE = "toy.make", "toy.use"

LoadInputs = Callable[[Sequence[Any]], Sequence[Any]]
Work = Callable[[Any], Awaitable[Outcome[Any]]]
BeforeCommit = Callable[[Tx, Sequence[FinishedTask[Any, Any]]], Awaitable[None]]


async def complete(item: Any) -> Outcome[Any]:
    return Done(item)


async def do_nothing(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
    del tx, finished


class ToyStage(Stage[Any, Any, Any]):
    """A stage whose work is a function of the test; its commit writes `toy` rows."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        do: Work = complete,
        follow: Callable[[FinishedTask[Any, Any]], Sequence[FollowUp]] = lambda _: (),
        before_commit: BeforeCommit = do_nothing,
    ) -> None:
        super().__init__(policy or Policy(concurrency=8, backoff_base_seconds=0.001))
        self.do = do
        self.follow = follow
        self.before_commit = before_commit
        self.batches: list[int] = []

    @override
    async def work(self, item: Any) -> Outcome[Any]:
        return await self.do(item)

    @override
    async def commit(
        self, tx: Tx, finished: Sequence[FinishedTask[Any, Any]]
    ) -> Sequence[FollowUp]:
        self.batches.append(len(finished))
        await self.before_commit(tx, finished)
        await tx.execute(
            INSERT_TOYS,
            job_ids=[item.claimed.job_id for item in finished],
            stages=[self.name for _ in finished],
            numbers=[item.task.number for item in finished],
            outcomes=[type(item.outcome).__name__ for item in finished],
        )
        return [follow for item in finished for follow in self.follow(item)]


class MakeStage(ToyStage):
    name = MAKE
    task = ThingRequested


class UseStage(ToyStage):
    name = USE
    task = ThingMade | ThingRouted


ROUTES = EventRoutes(
    [
        Step(on=ThingRequested, run=MakeStage),
        Step(on=ThingMade, run=UseStage),
        Step(on=ThingRouted, run=UseStage),
    ]
)


class LoadingStage(MakeStage):
    """Loads before it works: `work` gets what `read` returned for each task."""

    def __init__(self, read: LoadInputs, policy: Policy | None = None, **over: Any) -> None:
        super().__init__(policy, **over)
        self.read = read

    @override
    async def load(self, db: Reader, tasks: Sequence[ClaimedTask[Any]]) -> Sequence[Any]:
        del db
        return self.read(tasks)


class BatchStage(MakeStage):
    """Works on a whole batch at once."""

    in_batches = True

    def __init__(self, do_batch: LoadInputs, policy: Policy | None = None, **over: Any) -> None:
        super().__init__(policy, **over)
        self.do_batch = do_batch

    @override
    async def work_batch(self, items: Sequence[Any]) -> Sequence[Outcome[Any]]:
        return self.do_batch(items)


INSERT_TOYS = Query(
    "insert_toys",
    "INSERT INTO toy (job_id, stage, number, outcome) SELECT * FROM unnest("
    "$1::uuid[], $2::text[], $3::int[], $4::text[])",
    ("job_ids", "stages", "numbers", "outcomes"),
)


async def make_toy_table(database: Database) -> None:
    """Create the table of toy stages: one row for each finished job."""
    await database.execute(
        sql(
            "CREATE TABLE toy (job_id uuid, stage text, number int CHECK (number < 1000000), "
            "outcome text, at bigint GENERATED ALWAYS AS IDENTITY)"
        )
    )


async def list_toys(database: Database, stage: str | None = None) -> list[tuple[int, str]]:
    """Return (number, outcome) of the committed tasks, in order."""
    rows = await database.fetch(
        sql(
            "SELECT number, outcome FROM toy WHERE $1::text IS NULL OR stage = $1 ORDER BY at",
            "stage",
        ),
        stage=stage,
    )
    return [(row[0], row[1]) for row in rows]


async def list_jobs(database: Database) -> Sequence[Row]:
    """Return the live jobs in the order of the queue."""
    return await database.fetch(
        sql("SELECT *, payload::jsonb->>'number' AS number FROM job ORDER BY priority, turn, id")
    )


async def list_history(database: Database) -> Sequence[Row]:
    """Return the settled jobs by id."""
    return await database.fetch(sql("SELECT * FROM history ORDER BY id"))


async def list_dead_letters(database: Database) -> Sequence[Row]:
    """Return the dead letters by id."""
    return await database.fetch(sql("SELECT * FROM dead_letter ORDER BY id"))


async def list_events(database: Database) -> Sequence[Row]:
    """Return the event log."""
    return await database.fetch(sql("SELECT * FROM event ORDER BY xid, id"))


class SteppedNode:
    """A node whose engine does not run: the test steps its parts."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.node = engine.node
        self.db = engine.parts.db

    def runner(self, stage: str = MAKE) -> StageRunner:
        return self.engine.runners[stage]

    async def claim(self, stage: str = MAKE, most: int | None = None) -> list[Job]:
        """Claim what fits the channel (or `most`) and take it out of the channel."""
        channel = self.runner(stage).channel
        if most is not None:
            channel.capacity = most + channel.reserved + len(channel)
        self.runner(stage).fetcher.wake()
        await self.runner(stage).fetcher._claim()
        return channel.drain()

    def take(self, stage: str = MAKE) -> list[Job]:
        """Take the jobs that were handed to a stage through memory."""
        return self.runner(stage).channel.drain()

    async def settle(self, jobs: Sequence[Job], stage: str = MAKE) -> None:
        """Settle jobs whose outcome is set; those without one are done. Fails after a while."""
        for job in jobs:
            job.outcome = job.outcome or Done(job.task)
        with anyio.fail_after(15):
            await self.runner(stage).committer._settle(list(jobs))

    async def publish(self, *events: Event, **how: Any) -> list[UUID]:
        """Publish from outside a stage; with a closed channel all of it is queued."""
        async with self.engine.publisher.transaction() as publication:
            return await publication.publish(events, **how)

    async def queue(self, *events: Event, **how: Any) -> list[UUID]:
        """Publish so that nothing is handed over through memory."""
        channels = self.engine.channels.values()
        were_open = [channel.is_open for channel in channels]
        for channel in channels:
            channel.is_open = False
        try:
            return await self.publish(*events, **how)
        finally:
            for channel, was_open in zip(channels, were_open, strict=True):
                channel.is_open = was_open

    async def open_run(self, key: str | None = None, *, is_loading: bool = False) -> UUID:
        """Open a run."""
        parts = self.engine.parts
        new = runs.NewRun(id=parts.ids.new(), kind="toy", key=key, is_loading=is_loading)
        return await runs.create(self.db, new, parts.clock.now())

    async def die(self) -> None:
        """Lose the node's row, as when another node evicts it."""
        await self.db.execute(sql("DELETE FROM node WHERE id = $1", "id"), id=self.node.id)


def make_parts(
    database: Database,
    settings: DatabaseSettings,
    clock: Clock | None = None,
    /,
    **over: Any,
) -> EngineParts:
    """Return the parts of a toy engine."""
    clock = clock or SystemClock()
    parts: dict[str, Any] = {
        "db": database,
        "database": settings,
        "clock": clock,
        "ids": Ids(clock),
        "routes": ROUTES,
        "settings": QUICK_SETTINGS,
        **over,
    }
    return EngineParts(**parts)


async def enter_node(parts: EngineParts, *stages: Stage[Any, Any, Any]) -> SteppedNode:
    """Enter a node that the test steps by hand."""
    row_id = await parts.db.fetch_value(
        SQL.insert_node, name="toy", lock_path=None, now=parts.clock.now()
    )
    engine = Engine(parts, Node(row_id), Guard(parts.clock, parts.settings.heartbeat))
    engine.add_stages(stages or (MakeStage(), UseStage()))
    engine.build_tree()
    return SteppedNode(engine)


async def pause(engine: Engine, stage: str = MAKE) -> None:
    """Pause a stage and let this engine read the switch."""
    await pause_stage(engine.parts.db, engine.parts.clock, stage, "a test", "to look")
    await engine.switches.refresh()


class EngineBench:
    """A database with the toy table, and nodes on it."""

    def __init__(
        self, database: Database, settings: DatabaseSettings, stack: AsyncExitStack
    ) -> None:
        self.db = database
        self.settings = settings
        self.clock = ManualClock()
        self._stack = stack

    async def node(self, *stages: Stage[Any, Any, Any], **over: Any) -> SteppedNode:
        """Enter a stepped node on the bench's manual clock."""
        return await enter_node(make_parts(self.db, self.settings, self.clock, **over), *stages)

    async def run(self, *stages: Stage[Any, Any, Any], **over: Any) -> Engine:
        """Run a whole engine, in real time, until the test ends."""
        return await self._stack.enter_async_context(self.running(*stages, **over))

    @asynccontextmanager
    async def running(self, *stages: Stage[Any, Any, Any], **over: Any) -> AsyncIterator[Engine]:
        """Run a whole engine, in real time, until the block ends."""
        on_engine = over.pop("on_engine", None)
        clock = over.pop("clock", None)
        parts = make_parts(self.db, self.settings, clock, **over)
        running_stages = stages or (MakeStage(), UseStage())
        async with running_engine(parts, lambda _: running_stages, None, on_engine) as engine:
            yield engine


async def wait_until(is_so: Callable[[], Any], seconds: float = 8.0) -> None:
    """Wait until a condition holds; fail the test when it never does."""
    with anyio.fail_after(seconds):
        while True:
            result = is_so()
            if result if not hasattr(result, "__await__") else await result:
                return
            await REAL_TIME.sleep(0.005)


async def wait_until_settled(database: Database, seconds: float = 15.0) -> None:
    """Wait until no live job is left."""

    async def is_empty() -> bool:
        return not await database.fetch_value(sql("SELECT count(*) FROM job"))

    await wait_until(is_empty, seconds)


async def list_node_ids(database: Database) -> list[int]:
    """Return the ids of the nodes in the database, in order."""
    return [row["id"] for row in await database.fetch(sql("SELECT id FROM node ORDER BY id"))]


def task_numbers(jobs: Sequence[Job]) -> list[int]:
    """Return the numbers of the jobs' tasks."""
    return [job.task.number for job in jobs]


def crash_at(point: str, error: BaseException) -> CrashPoint:
    """Raise `error` the first time a point is passed."""
    errors = [error]

    def crash(passed: str) -> None:
        if passed.endswith(point) and errors:
            raise errors.pop()

    return crash
