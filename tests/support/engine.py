"""Toy stages and nodes: an engine whose parts a test steps by hand, or one that runs whole."""

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
from leadflood.engine.queue.heartbeat import Settings as HeartbeatSettings
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.maintenance.settings import Settings as MaintenanceSettings
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.outcome import Done, Outcome
from leadflood.engine.queue.parts import CrashPoint
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage
from leadflood.engine.queue.stage_runner import StageRunner
from leadflood.engine.queue.switches import pause_stage
from leadflood.engine.runtime import Engine, Parts, Settings, running_engine
from typing_extensions import override

QUICK = Settings(
    grace_seconds=2.0,
    heartbeat=HeartbeatSettings(beat_seconds=0.05, dead_after_seconds=1.0),
    maintenance=MaintenanceSettings(
        timer_poll_seconds=5.0, rescue_seconds=0.05, reconcile_seconds=30.0, runs_seconds=0.05
    ),
)


class Wanted(Event, frozen=True, tag="toy.thing.wanted"):
    """Starts `toy.make`; `key` makes its job unique within its run."""

    number: int = 0
    key: str | None = None

    @override
    def job_key(self) -> str | None:
        return self.key


class Made(Event, frozen=True, tag="toy.thing.made"):
    """Starts `toy.use`."""

    number: int = 0


class Noted(Event, frozen=True, tag="toy.thing.noted"):
    """Starts nothing: it is only written to the event log."""

    number: int = 0


class Whispered(Event, frozen=True, tag="toy.thing.whispered"):
    """Is only routed, never logged."""

    internal = True
    number: int = 0


MAKE, USE = "toy.make", "toy.use"

Read = Callable[[Sequence[Any]], Sequence[Any]]
Do = Callable[[Any], Awaitable[Outcome[Any]]]
Spoil = Callable[[Tx, Sequence[FinishedTask[Any, Any]]], Awaitable[None]]


async def done(item: Any) -> Outcome[Any]:
    return Done(item)


async def let_pass(tx: Tx, ended: Sequence[FinishedTask[Any, Any]]) -> None:
    del tx, ended


class Toy(Stage[Any, Any, Any]):
    """A stage that does what a test says; its commit writes one `toy` row for each end."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        do: Do = done,
        follow: Callable[[FinishedTask[Any, Any]], Sequence[FollowUp]] = lambda _: (),
        before_commit: Spoil = let_pass,
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
    async def commit(self, tx: Tx, ended: Sequence[FinishedTask[Any, Any]]) -> Sequence[FollowUp]:
        self.batches.append(len(ended))
        await self.before_commit(tx, ended)
        await tx.execute(
            INSERT_TOYS,
            job_ids=[one.claimed.job_id for one in ended],
            stages=[self.name for _ in ended],
            numbers=[one.task.number for one in ended],
            outcomes=[type(one.outcome).__name__ for one in ended],
        )
        return [follow for one in ended for follow in self.follow(one)]


class Make(Toy):
    name = MAKE
    task = Wanted


class Use(Toy):
    name = USE
    task = Made | Whispered


ROUTES = EventRoutes(
    [Step(on=Wanted, run=Make), Step(on=Made, run=Use), Step(on=Whispered, run=Use)]
)


class LoadingMake(Make):
    """Loads before it works: `work` gets what `read` told for each task."""

    def __init__(self, read: Read, policy: Policy | None = None, **over: Any) -> None:
        super().__init__(policy, **over)
        self.read = read

    @override
    async def load(self, db: Reader, tasks: Sequence[ClaimedTask[Any]]) -> Sequence[Any]:
        del db
        return self.read(tasks)


class BatchMake(Make):
    """Works on a whole batch at once."""

    in_batches = True

    def __init__(self, do_batch: Read, policy: Policy | None = None, **over: Any) -> None:
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


def sql(text: str, *parameters: str) -> Query:
    """Make a statement of a test's own, its parameters in the order of `$1, $2, …`."""
    return Query("of_a_test", text, parameters)


async def make_toy_table(database: Database) -> None:
    """Make the toy slice's table: one row for each end of a job, so that doubles are seen."""
    await database.execute(
        sql(
            "CREATE TABLE toy (job_id uuid, stage text, number int CHECK (number < 1000000), "
            "outcome text, at bigint GENERATED ALWAYS AS IDENTITY)"
        )
    )


async def toys(database: Database, stage: str | None = None) -> list[tuple[int, str]]:
    """List (number, outcome) of what was committed, in order."""
    rows = await database.fetch(
        sql(
            "SELECT number, outcome FROM toy WHERE $1::text IS NULL OR stage = $1 ORDER BY at",
            "stage",
        ),
        stage=stage,
    )
    return [(row[0], row[1]) for row in rows]


async def job_rows(database: Database) -> Sequence[Row]:
    """List the live jobs in the order of the queue."""
    return await database.fetch(
        sql("SELECT *, payload::jsonb->>'number' AS number FROM job ORDER BY priority, turn, id")
    )


async def history(database: Database) -> Sequence[Row]:
    """List the settled jobs by id."""
    return await database.fetch(sql("SELECT * FROM history ORDER BY id"))


async def dead_letter_rows(database: Database) -> Sequence[Row]:
    """List the dead letters by id."""
    return await database.fetch(sql("SELECT * FROM dead_letter ORDER BY id"))


async def events(database: Database) -> Sequence[Row]:
    """List the event log."""
    return await database.fetch(sql("SELECT * FROM event ORDER BY xid, id"))


class Stepped:
    """A node whose engine does not run: a test steps its parts."""

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
        """Take what was handed to a stage through memory."""
        return self.runner(stage).channel.drain()

    async def settle(self, jobs: Sequence[Job], stage: str = MAKE) -> None:
        """Settle jobs whose outcome is set; those without one are done."""
        for job in jobs:
            job.outcome = job.outcome or Done(job.task)
        await self.runner(stage).committer._settle(list(jobs))

    async def publish(self, *happened: Event, **how: Any) -> list[UUID]:
        """Publish from outside a stage; with a closed channel all of it is queued."""
        async with self.engine.publisher.transaction() as publication:
            return await publication.publish(happened, **how)

    async def queue(self, *happened: Event, **how: Any) -> list[UUID]:
        """Publish so that nothing is handed over through memory."""
        channels = self.engine.channels.values()
        were_open = [channel.is_open for channel in channels]
        for channel in channels:
            channel.is_open = False
        try:
            return await self.publish(*happened, **how)
        finally:
            for channel, was_open in zip(channels, were_open, strict=True):
                channel.is_open = was_open

    async def open_run(self, key: str | None = None, *, is_loading: bool = False) -> UUID:
        """Open a run."""
        parts = self.engine.parts
        new = runs.NewRun(id=parts.ids.new(), kind="toy", key=key, is_loading=is_loading)
        return await runs.create(self.db, new, parts.clock.now())

    async def die(self) -> None:
        """Lose the node's row, as when another node buries it."""
        await self.db.execute(sql("DELETE FROM node WHERE id = $1", "id"), id=self.node.id)


def make_parts(
    database: Database,
    settings: DatabaseSettings,
    clock: Clock | None = None,
    /,
    **over: Any,
) -> Parts:
    """Say what a toy engine is built from."""
    clock = clock or SystemClock()
    given: dict[str, Any] = {
        "db": database,
        "database": settings,
        "clock": clock,
        "ids": Ids(clock),
        "routes": ROUTES,
        "settings": QUICK,
        **over,
    }
    return Parts(**given)


async def enter_node(parts: Parts, *stages: Stage[Any, Any, Any]) -> Stepped:
    """Enter a node that the test steps by hand."""
    row_id = await parts.db.fetch_value(
        SQL.insert_node, name="toy", lock_path=None, now=parts.clock.now()
    )
    engine = Engine(parts, Node(row_id))
    engine.add_stages(stages or (Make(), Use()))
    engine.build_tree()
    return Stepped(engine)


async def pause(engine: Engine, stage: str = MAKE) -> None:
    """Pause a stage and wait until this engine has heard of it."""
    await pause_stage(engine.parts.db, engine.parts.clock, stage, "a test", "to look")
    await engine.switches.refresh()


class Bench:
    """A database with the toy table, and nodes on it."""

    def __init__(
        self, database: Database, settings: DatabaseSettings, stack: AsyncExitStack
    ) -> None:
        self.db = database
        self.settings = settings
        self.clock = ManualClock()
        self._stack = stack

    async def node(self, *stages: Stage[Any, Any, Any], **over: Any) -> Stepped:
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
        made = stages or (Make(), Use())
        async with running_engine(parts, lambda _: made, None, on_engine) as engine:
            yield engine


async def until(is_so: Callable[[], Any], seconds: float = 8.0) -> None:
    """Wait until something is so; fails the test when it does not come."""
    with anyio.fail_after(seconds):
        while True:
            answer = is_so()
            if answer if not hasattr(answer, "__await__") else await answer:
                return
            await REAL_TIME.sleep(0.005)


async def until_settled(database: Database, seconds: float = 15.0) -> None:
    """Wait until no job lives."""

    async def is_empty() -> bool:
        return not await database.fetch_value(sql("SELECT count(*) FROM job"))

    await until(is_empty, seconds)


def numbers(jobs: Sequence[Job]) -> list[int]:
    """List the numbers of jobs' tasks."""
    return [job.task.number for job in jobs]


def crash_at(point: str, error: BaseException) -> CrashPoint:
    """Raise `error` the first time a point is passed."""
    errors = [error]

    def crash(passed: str) -> None:
        if passed.endswith(point) and errors:
            raise errors.pop()

    return crash
