"""The ledger's own promises, below the gate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import anyio
import asyncpg
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Unfunded
from leadflood.engine.ledger.answers import forget_answers
from leadflood.engine.ledger.budgets import find_budgets
from leadflood.engine.ledger.caps import Settings
from leadflood.engine.ledger.lines import list_lines, sum_lines
from leadflood.engine.ledger.rate_limits import PostgresAllowance
from leadflood.engine.ledger.repository import SQL, PostgresLedger
from leadflood.engine.net.calls import BulkCallItem, BulkReply, Reply
from leadflood.engine.net.ledger_port import (
    LedgerQuestion,
    LedgerReceipt,
    LineState,
    Purchase,
    StoredAnswer,
)
from leadflood.engine.net.shares import split_evenly
from tests.support.live_gate import (
    NOW,
    FakeProvider,
    a_call,
    add_node,
    add_run,
    running_gateway,
    running_job,
)
from tests.support.statements import sql
from typing_extensions import override


def a_purchase(run_id: UUID | None = None, micros: int = 10, *subjects: str) -> Purchase:
    return Purchase(
        reference=uuid4(),
        provider="acme",
        operation="people.match",
        run_id=run_id,
        job_id=None,
        max_cost_micros=micros,
        subjects=subjects,
        shares=split_evenly(micros, len(subjects)),
        question_hash=b"hash",
        made_at=NOW,
    )


def a_receipt(purchase: Purchase, state: LineState, micros: int = 0) -> LedgerReceipt:
    return LedgerReceipt(
        purchase=purchase,
        state=state,
        outcome="found",
        ended_at=NOW,
        settled_micros=micros,
        shares=split_evenly(micros, len(purchase.subjects)),
        answers=(
            StoredAnswer(
                question_hash=b"hash",
                body=b"body",
                found=True,
                cost_micros=micros,
                expires_at=NOW + timedelta(hours=1),
            ),
        ),
    )


async def reserve(database: Database, ledger: PostgresLedger, *purchases: Purchase) -> None:
    node_id = await add_node(database)
    async with database.transaction() as tx:
        assert await ledger.lock_node(tx, node_id)
        assert list(await ledger.check_caps(tx, purchases)) == [None] * len(purchases)
        await ledger.reserve(tx, node_id, purchases)


async def used(database: Database, scope: str) -> tuple[int, int]:
    (budget,) = await find_budgets(database, [scope])
    return budget.spent_micros, budget.reserved_micros


async def test_settling_twice_moves_the_money_once(database: Database) -> None:
    ledger, run_id = PostgresLedger(), await add_run(database)
    purchase = a_purchase(run_id)
    await reserve(database, ledger, purchase)

    for _ in range(2):
        async with database.transaction() as tx:
            await ledger.settle(tx, [a_receipt(purchase, LineState.SETTLED, 6)])

    assert await used(database, f"run:{run_id}") == (6, 0)


async def test_the_runs_of_a_user_share_one_cap_a_day_and_are_settled_by_any_process(
    database: Database,
) -> None:
    ledger = PostgresLedger(Settings(user_day_micros=15))
    runs = [await add_run(database, opened_by="ann") for _ in range(2)]
    purchase, next_one = a_purchase(runs[0]), a_purchase(runs[1])
    await reserve(database, ledger, purchase)

    async with database.transaction() as tx:
        refused = await ledger.check_caps(tx, [next_one, a_purchase(await add_run(database))])
        await PostgresLedger().settle(tx, [a_receipt(purchase, LineState.SETTLED, 4)])
        granted = await ledger.check_caps(tx, [next_one])

    assert isinstance(refused[0], Unfunded)
    assert (refused[1], granted[0]) == (None, None)
    assert await used(database, f"user:ann:day:{NOW:%Y-%m-%d}") == (4, 0)


async def test_an_unresolved_line_can_be_settled_later_by_what_the_invoice_says(
    database: Database,
) -> None:
    ledger, run_id = PostgresLedger(), await add_run(database)
    purchase = a_purchase(run_id)
    await reserve(database, ledger, purchase)

    async with database.transaction() as tx:
        await ledger.settle(tx, [a_receipt(purchase, LineState.UNRESOLVED)])
    between = await used(database, f"run:{run_id}")
    async with database.transaction() as tx:
        await ledger.settle(tx, [a_receipt(purchase, LineState.SETTLED, 4)])

    assert between == (0, 10)
    assert await used(database, f"run:{run_id}") == (4, 0)


async def test_subjects_of_any_text_are_kept_without_what_postgres_refuses(
    database: Database,
) -> None:
    ledger = PostgresLedger()

    await reserve(database, ledger, a_purchase(None, 5, "a\x00b", "", "ü\ud800\x1f"))

    (line,) = await list_lines(database)
    assert line.subjects == ("ab", "-", "ü?")
    assert sum(line.shares) == 5


async def test_an_answer_past_its_time_is_not_found_and_is_forgotten(database: Database) -> None:
    ledger, purchase = PostgresLedger(), a_purchase()
    await reserve(database, ledger, purchase)
    async with database.transaction() as tx:
        await ledger.settle(tx, [a_receipt(purchase, LineState.SETTLED, 4)])
    questions = [
        (LedgerQuestion("acme", "other", b"hash"),),
        (LedgerQuestion("acme", "people.match", b"hash"),),
    ]

    async with database.transaction() as tx:
        fresh = await ledger.find_answers(tx, questions, NOW)
        stale = await ledger.find_answers(tx, questions, NOW + timedelta(hours=1))
    forgotten = await forget_answers(database, NOW + timedelta(hours=1))

    assert list(fresh) == [None, Reply(body=b"body", cached=True, observed_at=NOW)]
    assert list(stale) == [None, None]
    assert forgotten == 1


async def test_a_hit_is_found_by_all_its_names_and_the_newest_one_counts(
    database: Database,
) -> None:
    ledger = PostgresLedger()
    by_id = (LedgerQuestion("acme", "people.match", b"id"),)
    by_twin = (LedgerQuestion("acme", "people.match", b"twin"),)
    by_both = (LedgerQuestion("acme", "people.match", b"new"), *by_id)
    since = (LedgerQuestion("acme", "people.match", b"id", NOW + timedelta(seconds=1)),)

    async def keep(question: bytes, body: bytes, *, found: bool, seconds: int) -> None:
        purchase = a_purchase()
        answer = StoredAnswer(
            question_hash=question,
            body=body,
            found=found,
            cost_micros=0,
            expires_at=NOW + timedelta(hours=1),
            names=(b"id", b"twin") if found and question == b"hash" else (),
        )
        receipt = msgspec.structs.replace(
            a_receipt(purchase, LineState.SETTLED),
            ended_at=NOW + timedelta(seconds=seconds),
            answers=(answer,),
        )
        await reserve(database, ledger, purchase)
        async with database.transaction() as tx:
            await ledger.settle(tx, [receipt])

    async def bodies() -> list[bytes | None]:
        async with database.transaction() as tx:
            replies = await ledger.find_answers(tx, [by_id, by_both, by_twin, since], NOW)
        return [None if reply is None else reply.body for reply in replies]

    await keep(b"hash", b"first", found=True, seconds=0)
    await keep(b"new", b"no", found=False, seconds=1)
    first = await bodies()
    await keep(b"id", b"asked again", found=True, seconds=2)
    renewed = await bodies()
    await keep(b"hash", b"gone", found=False, seconds=3)

    assert first == [b"first", b"first", b"first", None]
    assert renewed == [b"asked again", b"asked again", b"first", b"asked again"]
    assert await bodies() == [b"asked again", b"asked again", None, b"asked again"]
    assert await forget_answers(database, NOW + timedelta(hours=1)) == 3


async def test_sums_are_by_provider_and_state(database: Database) -> None:
    ledger, run_id = PostgresLedger(), await add_run(database)
    purchase, two = a_purchase(run_id), a_purchase()
    await reserve(database, ledger, purchase, two)
    async with database.transaction() as tx:
        await ledger.settle(tx, [a_receipt(purchase, LineState.SETTLED, 6)])

    totals = await sum_lines(database, run_id)

    assert [(total.state, total.lines, total.settled_micros) for total in totals] == [
        (LineState.SETTLED, 1, 6)
    ]
    assert len(await sum_lines(database)) == 2


async def test_a_rate_limit_row_is_locked_by_one_process_at_a_time(database: Database) -> None:
    allowance = PostgresAllowance(database, SystemClock())

    async def add_one() -> None:
        async with allowance.locked("acme", "key", "default", NOW) as row:
            row.state = str(int(row.state or 0) + 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(add_one)

    async with allowance.locked("acme", "key", "default", NOW) as row:
        assert row.state == "8"


class LosesReplies(Database):
    """Commits, then loses the reply, every other time."""

    commits = 0

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with super().transaction() as tx:
            yield tx
        self.commits += 1
        if self.commits % 2:
            raise ConnectionResetError("the reply to COMMIT was lost")


async def test_a_lost_reply_to_commit_books_nothing_twice(database: Database) -> None:
    run_id = await add_run(database)
    losing = LosesReplies(database._pool, database._settings)

    async def send(_: UUID, items: list[BulkCallItem]) -> BulkReply:
        return BulkReply(items=tuple(Reply(body=b"", cost_micros=4) for _ in items))

    async with running_gateway(losing) as gateway:
        with running_job(run_id):
            await gateway.gate.call(a_call("one"), FakeProvider(cost=7))
            items = [BulkCallItem(b"two", "a"), BulkCallItem(b"three", "b")]
            await gateway.gate.call_bulk(a_call("", max_cost_micros=20), items, send)  # type: ignore[arg-type]

    assert losing.commits > 6
    assert [line.settled_micros for line in await list_lines(database)] == [7, 8]
    assert await used(database, f"run:{run_id}") == (15, 0)


async def test_a_node_is_not_evicted_while_it_buys(database: Database) -> None:
    node_id = await add_node(database)
    drop = sql("DELETE FROM node WHERE id = $1", "id")

    async def evict() -> int:
        async with database.transaction() as tx:
            await tx.limit_lock_waits(0.05)
            return await tx.execute(drop, id=node_id)

    async with database.transaction() as buying:
        assert await PostgresLedger().lock_node(buying, node_id)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await evict()

    assert await evict() == 1


async def test_budgets_stay_locked_while_they_are_checked(database: Database) -> None:
    await database.execute(sql("INSERT INTO budget (scope) VALUES ('day:x')"))

    async with database.transaction() as first, database.transaction() as second:
        await first.fetch(SQL.lock_budgets, scopes=["day:x"])
        await second.limit_lock_waits(0.02)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await second.fetch(SQL.lock_budgets, scopes=["day:x"])


async def test_an_allowance_is_handed_out_by_one_process_at_a_time(database: Database) -> None:
    allowance = PostgresAllowance(database, SystemClock())

    async def take() -> None:
        async with allowance.locked("acme", "", "default", NOW) as row:
            before = int(row.state or 0)
            await REAL_TIME.sleep(0.02)
            row.state = str(before + 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(take)

    async with allowance.locked("acme", "", "default", NOW) as row:
        assert row.state == "5"
