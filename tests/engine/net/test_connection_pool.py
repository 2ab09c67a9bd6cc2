"""Connections that are kept open, as many as the other side allows."""

import anyio
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.connection_pool import ConnectionPool, Settings, TooMany


class Server:
    """The other side: numbers its connections and takes so many at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.opened = 0
        self.open: set[int] = set()
        self.dead: set[int] = set()

    async def connect(self) -> int:
        await anyio.lowlevel.checkpoint()
        if len(self.open) >= self.most:
            raise TooMany("too many connections")
        self.opened += 1
        self.open.add(self.opened)
        return self.opened

    async def is_alive(self, connection: int) -> bool:
        await anyio.lowlevel.checkpoint()
        return connection not in self.dead

    def pool(self, clock: ManualClock | None = None, **over: float) -> ConnectionPool[int]:
        settings = Settings(**over)  # type: ignore[arg-type]
        return ConnectionPool(
            self.connect, self.is_alive, self.open.discard, clock or ManualClock(), settings
        )


async def use(pool: ConnectionPool[int], *, is_good: bool = True) -> int:
    async with pool.lend() as pooled:
        await anyio.lowlevel.checkpoint()
        pooled.is_good = is_good
        return pooled.connection


async def test_a_good_connection_is_used_again_and_a_bad_one_closed() -> None:
    server = Server(9)
    pool = server.pool()

    used = [await use(pool), await use(pool, is_good=False), await use(pool)]

    assert used == [1, 1, 2]
    assert server.open == {2}


async def test_an_old_a_dead_and_an_often_used_connection_are_replaced() -> None:
    server, clock = Server(9), ManualClock()
    pool = server.pool(clock, idle_seconds=20, uses=3)

    await use(pool)
    clock.advance(21)
    old = await use(pool)
    server.dead.add(old)
    used = [await use(pool) for _ in range(4)]

    assert old == 2
    assert used == [3, 3, 3, 4]
    assert server.open == {4}


@pytest.mark.parametrize("most", [1, 3])
async def test_where_the_other_side_takes_no_more_those_that_are_open_are_waited_for(
    most: int,
) -> None:
    server = Server(most)
    pool = server.pool()
    ended: list[int] = []

    async def work() -> None:
        ended.append(await use(pool))

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(work)

    assert len(ended) == 12
    assert len(server.open) == most


async def test_nothing_is_waited_for_where_none_is_open() -> None:
    with pytest.raises(TooMany):
        await use(Server(0).pool())


async def test_after_a_while_one_more_is_tried() -> None:
    server, clock = Server(1), ManualClock()
    pool = server.pool(clock, regrow_seconds=60, idle_seconds=1_000)
    async with pool.lend() as first, anyio.create_task_group() as tasks:
        first.is_good = True
        tasks.start_soon(use, pool)
        await anyio.wait_all_tasks_blocked()
        first_try = server.opened
        server.most = 2
        clock.advance(61)
        tasks.start_soon(use, pool)

    assert first_try == 1
    assert server.opened == 2


async def test_closing_closes_what_is_idle() -> None:
    server = Server(9)
    pool = server.pool()
    await use(pool)

    pool.close()

    assert server.open == set()
