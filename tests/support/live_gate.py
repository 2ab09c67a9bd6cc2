"""A real gateway on a test's database, calls to make through it, and a provider behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import anyio
import anyio.abc
import msgspec
from leadflood.engine.clock import Clock, SystemClock
from leadflood.engine.context import CURRENT_JOB, Authorize, JobContext, Record
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.ids import Ids
from leadflood.engine.ledger.caps import Settings as LedgerSettings
from leadflood.engine.ledger.rate_limits import PostgresAllowance
from leadflood.engine.ledger.repository import PostgresLedger
from leadflood.engine.net.calls import Call, Reply
from leadflood.engine.net.crash_points import Hook
from leadflood.engine.net.gateway import GatewayParts, ProviderGateway, Settings
from leadflood.engine.net.limiter import Limiter
from leadflood.engine.net.providers import Provider

ADD_NODE = Query(
    "add_node",
    "INSERT INTO node (name, started_at, last_beat_at) VALUES ('test', $1, $1) RETURNING id",
    ("now",),
)
DROP_NODE = Query("drop_node", "DELETE FROM node WHERE id = $1", ("id",))
ADD_RUN = Query(
    "add_run",
    "INSERT INTO run (id, kind, created_at, cap_micros, lead_cap_micros, providers, cancelled_at,"
    " opened_by) VALUES ($1, 'test', $2, $3, $4, $5, $6, $7)",
    ("id", "now", "cap", "lead_cap", "providers", "cancelled_at", "opened_by"),
)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class GatewaySetup(msgspec.Struct, frozen=True, kw_only=True):
    """What a test may change of the gateway."""

    ledger: LedgerSettings = LedgerSettings()
    providers: dict[str, Provider] = {}
    settings: Settings = Settings()
    is_allowed: Callable[[str], bool] = lambda _: True
    clock: Clock = SystemClock()
    crash_point: Hook | None = None


DEFAULT_SETUP = GatewaySetup()


class RunningGateway(msgspec.Struct, frozen=True):
    """A running gateway, its node, its limiter and the tasks that it runs in."""

    gate: ProviderGateway
    node_id: int
    limiter: Limiter
    tasks: anyio.abc.TaskGroup


@asynccontextmanager
async def running_gateway(
    database: Database, setup: GatewaySetup = DEFAULT_SETUP, *, runs: bool = True
) -> AsyncIterator[RunningGateway]:
    """Run a gateway for a node of its own; with `runs` False the test runs it."""
    node_id = await add_node(database)
    clock = setup.clock
    limiter = Limiter(PostgresAllowance(database, clock), clock, setup.settings.limiter)
    gate = ProviderGateway(
        GatewayParts(
            db=database,
            ledger=PostgresLedger(setup.ledger),
            limiter=limiter,
            clock=clock,
            ids=Ids(clock),
            node_id=lambda: node_id,
            providers=setup.providers,
            is_allowed=setup.is_allowed,
            crash_point=setup.crash_point,
        ),
        setup.settings,
    )
    async with anyio.create_task_group() as tasks:
        if runs:
            tasks.start_soon(gate.run)
            await anyio.wait_all_tasks_blocked()
        yield RunningGateway(gate, node_id, limiter, tasks)
        tasks.cancel_scope.cancel()


async def add_node(database: Database) -> int:
    """Insert a node's row; return its id."""
    node_id: int = await database.fetch_value(ADD_NODE, now=NOW)
    return node_id


async def remove_node(database: Database, node_id: int) -> None:
    """Delete a node's row, as when it is evicted."""
    await database.execute(DROP_NODE, id=node_id)


async def add_run(
    database: Database,
    *,
    cap: int | None = None,
    lead_cap: int | None = None,
    providers: list[str] | None = None,
    is_cancelled: bool = False,
    opened_by: str = "",
) -> UUID:
    """Insert a run with caps; return its id."""
    run_id = uuid4()
    await database.execute(
        ADD_RUN,
        id=run_id,
        now=NOW,
        cap=cap,
        lead_cap=lead_cap,
        providers=providers,
        cancelled_at=NOW if is_cancelled else None,
        opened_by=opened_by,
    )
    return run_id


def a_call(question: str = "who", **over: object) -> Call:
    """Return a call that costs at most 10 micros and keeps its answer for an hour."""
    arguments: dict[str, object] = {
        "provider": "acme",
        "operation": "people.match",
        "question": question.encode(),
        "limit": "default",
        "max_cost_micros": 10,
        "subjects": ("lead-1",),
        "answer_seconds": 3600.0,
        "miss_seconds": 3600.0,
        "timeout_seconds": 5.0,
    }
    return Call(**(arguments | over))  # type: ignore[arg-type]


@contextmanager
def running_job(
    run_id: UUID | None = None,
    authorize: Authorize | None = None,
    record: Record | None = None,
) -> Iterator[JobContext]:
    """Make the block the work of a stage on a job."""
    job = JobContext("test.stage", uuid4(), 1, run_id, authorize=authorize)
    job.record = record
    token = CURRENT_JOB.set(job)
    try:
        yield job
    finally:
        CURRENT_JOB.reset(token)


class FakeProvider:
    """A provider that records its references, and answers or fails as the test says."""

    def __init__(
        self, cost: int = 7, answer: Callable[[UUID], Awaitable[Reply]] | None = None
    ) -> None:
        self.references: list[UUID] = []
        self._cost = cost
        self._answer = answer

    async def __call__(self, reference: UUID) -> Reply:
        """Answer a call."""
        self.references.append(reference)
        if self._answer is not None:
            return await self._answer(reference)
        return Reply(body=b"answer", cost_micros=self._cost)


def failing_provider(error: Exception) -> FakeProvider:
    """Return a provider that always fails."""

    async def answer(_: UUID) -> Reply:
        raise error

    return FakeProvider(answer=answer)
