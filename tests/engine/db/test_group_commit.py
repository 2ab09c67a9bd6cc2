"""Group commit: the shared transaction is halved around a faulty item, repeated when cut."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.db.batching import LATER, Batcher, NotRunning, Redo
from leadflood.engine.db.group_commit import DatabaseBusy, Settings, group_commit
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Bug, Permanent
from tests.support.engine import wait_until

Write = Callable[[Tx, Sequence[int], bool], Awaitable[Sequence[int | Exception]]]
Group = Batcher[int, int]

MAKE = Query("make", "CREATE TABLE number (value int PRIMARY KEY)", ())
ADD = Query(
    "add", "INSERT INTO number SELECT unnest($1::int[]) ON CONFLICT DO NOTHING", ("values",)
)
DIVIDE = Query("divide", "SELECT 100 / value FROM unnest($1::int[]) AS value", ("values",))
LOCK = Query("lock", "SELECT FROM number WHERE value = ANY ($1::int[]) FOR UPDATE", ("values",))
COUNT = Query("count", "SELECT count(*) FROM number", ())
SUM = Query("sum", "SELECT coalesce(sum(value), 0) FROM number", ())
DIE = Query("die", "SELECT pg_terminate_backend(pg_backend_pid())", ())
QUICK = Settings(backoff_base_seconds=0.001)


@asynccontextmanager
async def running(
    database: Database, write: Write, settings: Settings = QUICK
) -> AsyncIterator[Group]:
    await database.execute(MAKE)
    group: Group = group_commit(database, write, SystemClock(), settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.run)
        await anyio.wait_all_tasks_blocked()
        yield group
        tasks.cancel_scope.cancel()


async def submit_all(group: Group, items: Sequence[int]) -> dict[int, int | Exception]:
    answers: dict[int, int | Exception] = {}

    async def submit(item: int) -> None:
        try:
            answers[item] = await group.submit(item)
        except Exception as error:  # noqa: BLE001 - the answer looked at
            answers[item] = error

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(submit, item)
    return answers


async def add_and_divide(tx: Tx, items: Sequence[int], _: bool) -> list[int | Exception]:  # noqa: FBT001
    await tx.execute(ADD, values=list(items))
    return [row[0] for row in await tx.fetch(DIVIDE, values=list(items))]


async def test_items_that_wait_together_share_a_transaction(database: Database) -> None:
    async with running(database, add_and_divide) as group:
        answers = await submit_all(group, range(1, 101))

    assert answers[25] == 4
    assert group.batches < 10
    assert await database.fetch_value(SUM) == 5050


async def test_an_idle_group_commits_a_single_item_at_once(database: Database) -> None:
    async with running(database, add_and_divide) as group:
        answer = await group.submit(50)

    assert (answer, group.batches) == (2, 1)


async def test_batches_stay_within_their_size(database: Database) -> None:
    sizes: list[int] = []

    async def write(_: Tx, items: Sequence[int], __: bool) -> list[int | Exception]:  # noqa: FBT001
        sizes.append(len(items))
        return list(items)

    async with running(database, write, Settings(batch=10)) as group:
        await submit_all(group, range(35))

    assert max(sizes) == 10
    assert sum(sizes) == 35


async def test_only_the_faulty_item_fails(database: Database) -> None:
    async with running(database, add_and_divide) as group:
        answers = await submit_all(group, range(40))

    assert "division by zero" in str(answers.pop(0))
    assert not any(isinstance(answer, Exception) for answer in answers.values())
    assert await database.fetch_value(SUM) == sum(range(40))


async def test_an_exception_as_an_answer_is_raised_and_the_rest_committed(
    database: Database,
) -> None:
    async def write(tx: Tx, items: Sequence[int], _: bool) -> list[int | Exception]:  # noqa: FBT001
        await tx.execute(ADD, values=list(items))
        return [Permanent("three") if item == 3 else item for item in items]

    async with running(database, write) as group:
        answers = await submit_all(group, range(5))

    assert isinstance(answers[3], Permanent)
    assert await database.fetch_value(SUM) == 10
    assert group.repeats == 0


async def test_a_lost_connection_repeats_the_batch_and_says_so(database: Database) -> None:
    repeated: list[bool] = []

    async def write(tx: Tx, items: Sequence[int], is_repeat: bool) -> list[int | Exception]:  # noqa: FBT001
        repeated.append(is_repeat)
        if not is_repeat:
            await tx.execute(DIE)
        return await add_and_divide(tx, items, is_repeat)

    async with running(database, write) as group:
        answers = await submit_all(group, [1, 2, 4])

    assert answers == {1: 100, 2: 50, 4: 25}
    assert repeated[:2] == [False, True]


async def test_halves_of_a_repeated_batch_count_as_repeated(database: Database) -> None:
    calls: list[tuple[int, bool]] = []

    async def write(tx: Tx, items: Sequence[int], is_repeat: bool) -> list[int | Exception]:  # noqa: FBT001
        calls.append((len(items), is_repeat))
        if len(calls) == 1:
            await tx.execute(DIE)
        return await add_and_divide(tx, items, is_repeat)

    async with running(database, write) as group:
        await submit_all(group, [0, 1, 2])

    assert calls[0] == (3, False)
    assert {is_repeat for _, is_repeat in calls[1:]} == {True}
    assert min(size for size, _ in calls) == 1


async def test_answers_that_do_not_match_the_items_are_a_bug(database: Database) -> None:
    async def write(*_: object) -> list[int | Exception]:
        return []

    async with running(database, write) as group:
        with pytest.raises(Bug):
            await group.submit(1)


async def test_a_cancelled_waiter_leaves_the_others_whole(database: Database) -> None:
    may_go = anyio.Event()

    async def write(tx: Tx, items: Sequence[int], is_repeat: bool) -> list[int | Exception]:  # noqa: FBT001
        await may_go.wait()
        return await add_and_divide(tx, items, is_repeat)

    async with running(database, write) as group, anyio.create_task_group() as staying:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(group.submit, 1)
            await anyio.wait_all_tasks_blocked()
            leaving.start_soon(group.submit, 5)
            staying.start_soon(group.submit, 2)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        may_go.set()

    assert await database.fetch_value(SUM) == 3  # 1 was under way, 5 was left out


async def test_submitting_to_a_group_that_does_not_run_fails_clearly(database: Database) -> None:
    group: Group = group_commit(database, add_and_divide, SystemClock(), QUICK)

    with pytest.raises(NotRunning):
        await group.submit(1)


async def test_callers_who_wait_when_it_stops_are_refused(database: Database) -> None:
    errors: list[Exception] = []

    async def write(*_: object) -> list[int | Exception]:
        await anyio.sleep_forever()
        return []

    async def submit(group: Group) -> None:
        try:
            await group.submit(1)
        except NotRunning as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks, running(database, write) as group:
        tasks.start_soon(submit, group)
        await anyio.wait_all_tasks_blocked()

    assert len(errors) == 1


@pytest.mark.parametrize("when_locked", [None, LATER])
async def test_only_who_needs_a_locked_row_waits_or_is_turned_away(
    database: Database, when_locked: Redo | None
) -> None:
    async def write(tx: Tx, items: Sequence[int], _: bool) -> list[int | Exception]:  # noqa: FBT001
        await tx.execute(LOCK, values=list(items))
        await tx.execute(ADD, values=[item + 1000 for item in items])
        return list(items)

    await database.execute(MAKE)
    await database.execute(ADD, values=list(range(40)))
    group: Group = group_commit(database, write, SystemClock(), QUICK, when_locked=when_locked)
    answers: dict[int, int | Exception] = {}

    async def submit() -> None:
        answers.update(await submit_all(group, range(40)))

    async def are_others_written() -> bool:
        return bool(await database.fetch_value(COUNT) == 50)

    async with group.running(), anyio.create_task_group() as tasks, database.transaction() as other:
        await other.execute(LOCK, values=list(range(30)))
        began = REAL_TIME.monotonic()
        tasks.start_soon(submit)
        await wait_until(are_others_written)
        took_seconds = REAL_TIME.monotonic() - began

    assert took_seconds < 2  # the session's lock_timeout is 10 s
    busy = [item for item, answer in answers.items() if isinstance(answer, DatabaseBusy)]
    assert sorted(busy) == ([] if when_locked else list(range(30)))
    assert len(answers) == 40


async def test_what_cannot_be_written_when_it_stops_is_refused_after_a_while(
    database: Database,
) -> None:
    async def write(*_: object) -> list[int | Exception]:
        await anyio.sleep_forever()
        return []

    group: Group = group_commit(
        database, write, SystemClock(), Settings(flush_seconds=0.1), when_locked=LATER
    )
    answers: dict[int, int | Exception] = {}

    async def submit() -> None:
        answers.update(await submit_all(group, [1, 2]))

    async with anyio.create_task_group() as tasks, group.running():
        tasks.start_soon(submit)
        await anyio.wait_all_tasks_blocked()

    assert [type(answer) for answer in answers.values()] == [NotRunning, NotRunning]
