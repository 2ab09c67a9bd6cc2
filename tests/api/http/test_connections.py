"""Connections: bounded in all and by address, and the longest idle one goes first."""

import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteStream
from leadflood.api.http.connections import LEAST_CONNECTIONS, limits_of, most_connections
from leadflood.api.http.settings import Settings
from leadflood.app import Node

from tests.support.api import Client, running_api
from tests.support.open_files import limited_files
from tests.support.raw import read_answer

pytestmark = pytest.mark.pg
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def connected_from(api: Client, *addresses: str) -> AsyncIterator[list[SocketStream]]:
    """Connect from each of the addresses, in this order."""
    host, _, port = api.address.removeprefix("http://").partition(":")
    async with AsyncExitStack() as stack:
        sockets: list[SocketStream] = []
        for address in addresses:
            connecting = anyio.connect_tcp(host, int(port), local_host=address)
            sockets.append(await stack.enter_async_context(await connecting))
        yield sockets


async def is_cut(socket: SocketStream) -> bool:
    """Whether the server has ended the connection; else it answers a request."""
    try:
        await socket.send(REQUEST)
        return (await read_answer(BufferedByteStream(socket))).status != 200
    except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.EndOfStream):
        return True


async def cut_of(sockets: list[SocketStream]) -> list[int]:
    return [at for at, socket in enumerate(sockets) if await is_cut(socket)]


async def test_of_one_address_the_longest_idle_connection_ends_for_one_too_many(
    node: Node,
) -> None:
    async with (
        running_api(node, connections_per_address=3) as api,
        connected_from(api, "127.0.0.2", *["127.0.0.3"] * 3) as sockets,
    ):
        assert not await is_cut(sockets[1])  # by now the second of that address idles longest
        async with connected_from(api, "127.0.0.3") as more:
            assert await cut_of([*sockets, *more]) == [2]


async def test_of_all_the_longest_idle_connection_ends_for_one_too_many(node: Node) -> None:
    async with (
        running_api(node, connections=3) as api,
        connected_from(api, *[f"127.0.0.{host}" for host in range(2, 7)]) as sockets,
    ):
        assert await cut_of(sockets) == [0, 1]


async def test_a_connection_that_is_answered_is_never_ended_for_another(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_answer = anyio.Event(), anyio.Event()

    async def slow(*_: object) -> list[object]:
        asked.set()
        await may_answer.wait()
        return []

    monkeypatch.setattr(node.storage.icps, "list_latest", slow)
    async with (
        running_api(node, connections_per_address=1) as api,
        anyio.create_task_group() as tasks,
    ):
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await api.get("/v1/icps")).status)

        tasks.start_soon(ask)
        await asked.wait()
        async with connected_from(api, "127.0.0.1") as newcomers:
            assert await cut_of(newcomers) == [0]
        may_answer.set()

    assert statuses == [200]


async def test_a_trusted_proxy_may_open_more_connections_than_one_address(node: Node) -> None:
    async with (
        running_api(node, connections_per_address=2, trusted_proxies=("127.0.0.9",)) as api,
        connected_from(api, *["127.0.0.9"] * 4) as sockets,
    ):
        assert await cut_of(sockets) == []


def test_fewer_connections_are_taken_where_the_process_may_open_fewer_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit, connections in ((hard, hard - hard // 4), (400, 144), (100, LEAST_CONNECTIONS)):
        with limited_files(limit):
            assert most_connections() == connections
            assert limits_of(Settings(connections=10**9)).in_all == connections
            assert limits_of(Settings(connections=9)).in_all == 9
