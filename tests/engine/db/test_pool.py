import asyncio
import os
import random
import shutil
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.pool import Database, Settings, open_database, own_connection
from leadflood.engine.db.postgres_process import PostgresProcess
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Tx, is_lost, sqlstate_of
from tests.support.db import open_folder
from tests.support.engine import wait_until
from tests.support.statements import sql

ONE = Query("one", "SELECT 1", ())
PID = Query("pid", "SELECT pg_backend_pid()", ())
ECHO = Query("echo", "SELECT $1::text", ("value",))
NUMBER = Query("number", "SELECT $1::int", ("value",))
DIVIDE = Query("divide", "SELECT 1 / 0", ())
TABLE = Query("table", "CREATE TABLE t (a int PRIMARY KEY)", ())
INSERT = Query("insert", "INSERT INTO t VALUES (1), (2)", ())
COUNT = Query("count", "SELECT count(*) FROM t", ())
SLEEP = Query("sleep", "SELECT pg_sleep(60)", ())
TERMINATE_OTHERS = Query(
    "terminate",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    (),
)


async def terminate_everybody(settings: Settings) -> None:
    async with own_connection(settings) as connection:
        await Tx(connection).fetch(TERMINATE_OTHERS)


async def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_exception(
    database: Database,
) -> None:
    await database.execute(TABLE)

    async with database.transaction() as tx:
        inserted = await tx.execute(INSERT)
    with pytest.raises(RuntimeError):
        await insert_and_fail(database)

    assert inserted == 2
    assert await database.fetch_value(COUNT) == 2


async def insert_and_fail(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(Query("more", "INSERT INTO t VALUES (3)", ()))
        raise RuntimeError


async def test_a_cancelled_transaction_leaves_a_clean_connection(
    database_settings: Settings,
) -> None:
    single = Settings(url=database_settings.url, pool_size=1)

    async with open_database(single) as database:
        await database.execute(TABLE)
        with anyio.move_on_after(0.1):
            async with database.transaction() as tx:
                await tx.execute(INSERT)
                await tx.fetch(SLEEP)
        with anyio.fail_after(10):
            count = await database.fetch_value(COUNT)

    assert count == 0


async def test_terminated_connections_count_as_lost_and_the_pool_recovers(
    database: Database, database_settings: Settings
) -> None:
    before = await database.fetch_value(PID)

    with pytest.raises(Exception, match=r"terminat|clos") as lost:
        await be_terminated_inside_a_transaction(database, database_settings)

    assert is_lost(lost.value)
    assert await database.fetch_value(PID) != before


async def be_terminated_inside_a_transaction(database: Database, settings: Settings) -> None:
    async with database.transaction() as tx:
        await tx.fetch_value(ONE)
        await terminate_everybody(settings)
        await tx.fetch_value(ONE)


async def test_a_refused_connection_counts_as_lost() -> None:
    with pytest.raises(OSError, match="refused") as lost:
        async with own_connection(Settings(url="postgresql://x@127.0.0.1:1/x")):
            pass

    assert sqlstate_of(lost.value) == "08006"


async def test_an_exhausted_pool_counts_as_a_lost_connection(database_settings: Settings) -> None:
    narrow = Settings(url=database_settings.url, pool_size=1, acquire_timeout_seconds=0.05)

    async with open_database(narrow) as database, database.transaction():
        assert database.in_use() == (1, 1)
        with pytest.raises(TimeoutError) as exhausted:
            await database.fetch_value(ONE)

    assert is_lost(exhausted.value)


@pytest.mark.parametrize(
    ("query", "value"),
    [(ECHO, "\ud800"), (ECHO, "a\x00b"), (NUMBER, 2**40), (NUMBER, "no number")],
)
async def test_a_value_that_cannot_be_stored_is_the_rows_fault(
    database: Database, query: Query, value: object
) -> None:
    with pytest.raises(Exception, match=r".") as refused:
        await database.fetch_value(query, value=value)

    state = sqlstate_of(refused.value)
    assert state is not None
    assert state.startswith("22")
    assert not is_lost(refused.value)


async def test_a_statement_at_fault_keeps_its_sqlstate(database: Database) -> None:
    with pytest.raises(Exception, match="division") as refused:
        await database.fetch_value(DIVIDE)

    assert sqlstate_of(refused.value) == "22012"
    assert sqlstate_of(ValueError("ours")) is None


async def test_a_statement_and_a_lock_do_not_wait_for_ever(
    database: Database, database_settings: Settings
) -> None:
    hasty = Settings(
        url=database_settings.url, statement_timeout_seconds=0.1, lock_timeout_seconds=0.05
    )
    await database.execute(TABLE)

    async with open_database(hasty) as waiting, database.transaction() as holder:
        with pytest.raises(Exception, match="statement timeout") as slow:
            await waiting.fetch_value(SLEEP)
        await holder.execute(Query("lock", "LOCK TABLE t", ()))
        with pytest.raises(Exception, match="lock timeout") as locked:
            await waiting.fetch_value(COUNT)

    assert sqlstate_of(slow.value) == "57014"
    assert sqlstate_of(locked.value) == "55P03"


async def test_the_pool_goes_on_after_the_server_was_killed_and_started_again() -> None:
    folder = await to_thread.run_sync(open_folder)

    async with (
        embedded_postgres(folder / "data", SystemClock(), durable=False) as server,
        open_database(Settings(url=server.url)) as database,
    ):
        await database.execute(TABLE)
        await database.execute(INSERT)
        await to_thread.run_sync(kill_server, folder / "data")
        with pytest.raises(Exception, match=r".") as lost:
            await until_it_fails(database)
        await server.ensure_running()
        count = await database.fetch_value(COUNT)
    shutil.rmtree(folder)

    assert is_lost(lost.value)
    assert count == 2


async def until_it_fails(database: Database) -> None:
    with anyio.fail_after(20):
        while True:
            await database.fetch_value(ONE)


def kill_server(data: Path) -> None:
    postmaster = PostgresProcess(data, durable=False).find_postmaster()
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGKILL)


async def test_many_tasks_share_the_pool(database: Database) -> None:
    values: list[int] = []

    async def use() -> None:
        values.append(await database.fetch_value(ONE))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(use())

    assert values == [1] * 50
    assert database.in_use()[0] == 0


@pytest.mark.parametrize("is_pooled", [True, False])
async def test_every_connection_is_durable_and_bounds_an_idle_transaction(
    database: Database, database_settings: Settings, *, is_pooled: bool
) -> None:
    expected = {"synchronous_commit": "on", "idle_in_transaction_session_timeout": "30s"}
    values = {}
    async with AsyncExitStack() as stack:
        connection: Any = database
        if not is_pooled:
            connection = Tx(await stack.enter_async_context(own_connection(database_settings)))
        for name in expected:
            values[name] = await connection.fetch_value(
                sql("SELECT current_setting($1)", "name"), name=name
            )

    assert values == expected


OPEN_TRANSACTIONS = sql(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state NOT IN ('active', 'idle')"
)


async def test_transactions_cancelled_at_any_moment_leave_nothing_open_and_nothing_half(
    database: Database,
) -> None:
    rng = random.Random(7)  # noqa: S311 - when to cut, no secret
    add = sql("INSERT INTO cut VALUES (1)")
    await database.execute(sql("CREATE TABLE cut (half int)"))

    async def write_both_halves() -> None:
        async with database.transaction() as tx:
            await tx.execute(add)
            await tx.fetch(sql("SELECT pg_sleep(0.002)"))
            await tx.execute(add)

    async def has_nothing_open() -> bool:
        return not await database.fetch_value(OPEN_TRANSACTIONS)

    for _ in range(100):
        with anyio.move_on_after(rng.uniform(0.0005, 0.01)):
            await write_both_halves()

    count = await database.fetch_value(sql("SELECT count(*) FROM cut"))
    await wait_until(has_nothing_open, 3.0)
    assert count % 2 == 0
