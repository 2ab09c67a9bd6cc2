"""Buying may be turned away, settling never is: locks, restarts and a node that stops."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.context import Allow, JobContext, SendDecision
from leadflood.engine.db.group_commit import DatabaseBusy
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.ledger.budgets import find_budgets
from leadflood.engine.ledger.lines import list_lines
from leadflood.engine.ledger.repository import PostgresLedger
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import LineState, Purchase
from tests.support.engine import wait_until
from tests.support.live_gate import (
    FakeProvider,
    RunningGateway,
    a_call,
    add_run,
    running_gateway,
    running_job,
)
from tests.support.statements import sql

LOCK_BUDGET = sql("SELECT FROM budget WHERE scope = $1 FOR UPDATE", "scope")
COUNT_ANSWERS = sql("SELECT count(*) FROM answer")


async def go(_: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
    return [Allow() for _ in jobs]


@asynccontextmanager
async def locked_run(database: Database, run_id: UUID) -> AsyncIterator[None]:
    """Lock the money of a run, as a session that hangs does, while the block runs."""
    is_locked, may_end = anyio.Event(), anyio.Event()

    async def lock() -> None:
        async with database.transaction() as tx:
            await tx.fetch(LOCK_BUDGET, scope=f"run:{run_id}")
            is_locked.set()
            await may_end.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lock)
        await is_locked.wait()
        yield
        may_end.set()


async def bought_once(gateway: RunningGateway, run_id: UUID) -> None:
    with running_job(run_id):
        await gateway.gate.call(a_call("first"), FakeProvider())


async def lines_of(database: Database) -> list[tuple[LineState, int | None]]:
    return [(line.state, line.settled_micros) for line in await list_lines(database)]


class LockedWhileOut:
    """A provider during whose answer the money of its run is locked, for a while."""

    def __init__(self, database: Database, run_id: UUID, seconds: float = 60.0) -> None:
        self._database, self._run_id, self._seconds = database, run_id, seconds
        self.may_end = anyio.Event()
        self._is_out, self._is_locked = anyio.Event(), anyio.Event()

    async def answer(self, _: UUID) -> Reply:
        self._is_out.set()
        await self._is_locked.wait()
        return Reply(body=b"answer", cost_micros=7)

    async def lock(self) -> None:
        await self._is_out.wait()
        async with locked_run(self._database, self._run_id):
            self._is_locked.set()
            with anyio.move_on_after(self._seconds):
                await self.may_end.wait()


async def test_a_settlement_that_meets_a_lock_is_written_when_the_lock_is_gone(
    database: Database,
) -> None:
    run_id = await add_run(database, cap=1000)
    locked = LockedWhileOut(database, run_id, 0.8)
    fake = FakeProvider(answer=locked.answer)

    async with running_gateway(database) as gateway:
        await bought_once(gateway, run_id)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(locked.lock)
            with running_job(run_id):
                reply = await gateway.gate.call(a_call(), fake)
                again = await gateway.gate.call(a_call(), fake)

    assert (reply.body, again.cached, len(fake.references)) == (b"answer", True, 1)
    assert await lines_of(database) == [(LineState.SETTLED, 7), (LineState.SETTLED, 7)]
    (budget,) = await find_budgets(database, [f"run:{run_id}"])
    assert (budget.spent_micros, budget.reserved_micros) == (14, 0)


async def test_an_effect_whose_settlement_meets_a_lock_is_told_as_what_it_is(
    database: Database,
) -> None:
    run_id = await add_run(database, cap=1000)
    locked = LockedWhileOut(database, run_id, 0.8)
    recorded: list[BaseException | None] = []

    async def record(_: object, __: JobContext, error: BaseException | None, ___: object) -> None:
        recorded.append(error)

    async with running_gateway(database) as gateway:
        await bought_once(gateway, run_id)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(locked.lock)
            with running_job(run_id, authorize=go, record=record):
                await gateway.gate.call(a_call(effect=True), FakeProvider(answer=locked.answer))

    assert recorded[-1] is None
    assert (await lines_of(database))[-1] == (LineState.SETTLED, 7)


async def test_one_locked_row_turns_its_own_calls_away_and_holds_up_no_other(
    database: Database,
) -> None:
    locked, other = await add_run(database, cap=10_000), await add_run(database, cap=10_000)
    refused: list[LeadfloodError] = []
    waited: list[float] = []

    async def ask(gateway: RunningGateway, run_id: UUID, number: int) -> None:
        began = REAL_TIME.monotonic()
        try:
            with running_job(run_id):
                await gateway.gate.call(a_call(f"{run_id}:{number}"), FakeProvider())
        except DatabaseBusy as error:
            refused.append(error)
        else:
            waited.append(REAL_TIME.monotonic() - began)

    async with running_gateway(database) as gateway:
        await bought_once(gateway, locked)
        async with locked_run(database, locked), anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(ask, gateway, locked, number)
                tasks.start_soon(ask, gateway, other, number)

    assert len(refused) == 16  # throttled: no attempt is spent for it
    assert len(waited) == 16
    assert max(waited) < 1.5


async def test_a_locked_settlement_holds_up_no_other(database: Database) -> None:
    locked_run_id, other = await add_run(database, cap=1000), await add_run(database, cap=1000)
    locked = LockedWhileOut(database, locked_run_id)
    ended: list[str] = []

    async def ask(gateway: RunningGateway, run_id: UUID, name: str, fake: FakeProvider) -> None:
        with running_job(run_id):
            await gateway.gate.call(a_call(name), fake)
        ended.append(name)

    async with running_gateway(database) as gateway:
        await bought_once(gateway, locked_run_id)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(locked.lock)
            fake = FakeProvider(answer=locked.answer)
            tasks.start_soon(ask, gateway, locked_run_id, "locked", fake)
            await REAL_TIME.sleep(0.3)
            for number in range(5):
                await ask(gateway, other, f"other {number}", FakeProvider())
            locked.may_end.set()

    assert ended[-1] == "locked"
    assert len(ended) == 6


async def test_what_came_back_while_the_node_stops_is_booked(database: Database) -> None:
    """Workers and gateway are cancelled together; a lock is in the way of the settlement."""
    run_id = await add_run(database, cap=1000)
    locked = LockedWhileOut(database, run_id, 0.6)
    fake = FakeProvider(answer=locked.answer)

    async def work(gateway: RunningGateway) -> None:
        with running_job(run_id):
            await gateway.gate.call(a_call(), fake)

    async with anyio.create_task_group() as outside:
        outside.start_soon(locked.lock)
        async with running_gateway(database) as gateway, anyio.create_task_group() as workers:
            await bought_once(gateway, run_id)
            workers.start_soon(work, gateway)
            await wait_until(lambda: fake.references)
            await REAL_TIME.sleep(0.3)
            gateway.tasks.cancel_scope.cancel()
            workers.cancel_scope.cancel()

    assert (await lines_of(database))[-1] == (LineState.SETTLED, 7)
    assert await database.fetch_value(COUNT_ANSWERS) == 2


async def test_a_call_cut_by_the_stop_of_its_node_leaves_a_recorded_line(
    database: Database,
) -> None:
    is_out = anyio.Event()

    async def answer(_: UUID) -> Reply:
        is_out.set()
        await anyio.sleep_forever()
        raise AssertionError

    async with running_gateway(database) as gateway:
        gateway.tasks.start_soon(gateway.gate.call, a_call(), FakeProvider(answer=answer))
        await is_out.wait()
        gateway.tasks.cancel_scope.cancel()

    assert await lines_of(database) == [(LineState.UNRESOLVED, None)]


async def test_a_call_that_ends_while_its_node_stops_is_booked(database: Database) -> None:
    is_out = anyio.Event()

    async def answer(_: UUID) -> Reply:
        with anyio.CancelScope(shield=True):
            is_out.set()
            await REAL_TIME.sleep(0.2)
        return Reply(body=b"answer", cost_micros=7)

    async with running_gateway(database) as gateway:
        gateway.tasks.start_soon(gateway.gate.call, a_call(), FakeProvider(answer=answer))
        await is_out.wait()
        gateway.tasks.cancel_scope.cancel()

    assert await lines_of(database) == [(LineState.SETTLED, 7)]


async def test_a_settlement_outlives_a_restart_of_the_gateway(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_out, may_answer, may_break = anyio.Event(), anyio.Event(), anyio.Event()

    async def answer(_: UUID) -> Reply:
        is_out.set()
        await may_answer.wait()
        return Reply(body=b"answer", cost_micros=7)

    async def break_down() -> None:
        await may_break.wait()
        raise RuntimeError("the limiter broke")

    async def run_until_it_breaks(gateway: RunningGateway) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.gate.run)
            await anyio.wait_all_tasks_blocked()
            gateway.tasks.start_soon(gateway.gate.call, a_call(), FakeProvider(answer=answer))
            await is_out.wait()
            may_break.set()

    async def is_settled() -> bool:
        return await lines_of(database) == [(LineState.SETTLED, 7)]

    async with running_gateway(database, runs=False) as gateway:
        gateway.tasks.start_soon(gateway.limiter.run)
        monkeypatch.setattr(gateway.limiter, "run", break_down)
        with pytest.raises(ExceptionGroup):
            await run_until_it_breaks(gateway)
        may_answer.set()
        await REAL_TIME.sleep(0.05)
        assert not await is_settled()
        monkeypatch.setattr(gateway.limiter, "run", anyio.sleep_forever)
        gateway.tasks.start_soon(gateway.gate.run)
        await wait_until(is_settled)


async def test_reserved_money_that_no_call_knows_of_is_released(database: Database) -> None:
    run_id = await add_run(database, cap=1000)
    may_answer = anyio.Event()

    async def answer(_: UUID) -> Reply:
        await may_answer.wait()
        return Reply(body=b"answer", cost_micros=7)

    async with running_gateway(database) as gateway, anyio.create_task_group() as tasks:
        fake = FakeProvider(answer=answer)
        tasks.start_soon(gateway.gate.call, a_call(), fake)
        await wait_until(lambda: fake.references)
        await reserve_behind_its_back(database, gateway.node_id, run_id)
        counts = [await gateway.gate.release_unknown() for _ in range(3)]
        may_answer.set()

    assert counts == [0, 1, 0]
    lines = {line.run_id: line for line in await list_lines(database)}
    assert (lines[run_id].state, lines[run_id].outcome) == (LineState.RELEASED, "net.not_sent")
    assert lines[None].state is LineState.SETTLED
    (budget,) = await find_budgets(database, [f"run:{run_id}"])
    assert (budget.spent_micros, budget.reserved_micros) == (0, 0)


async def reserve_behind_its_back(database: Database, node_id: int, run_id: UUID) -> None:
    """Reserve as a transaction does whose reply is lost."""
    ledger = PostgresLedger()
    purchase = Purchase(
        reference=uuid4(),
        provider="acme",
        operation="people.match",
        run_id=run_id,
        job_id=None,
        max_cost_micros=10,
        subjects=("lead-1",),
        shares=(10,),
        question_hash=b"lost",
        made_at=SystemClock().now(),
    )
    async with database.transaction() as tx:
        assert await ledger.check_caps(tx, [purchase]) == [None]
        await ledger.reserve(tx, node_id, [purchase])
