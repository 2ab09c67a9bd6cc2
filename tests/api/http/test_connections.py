"""Connections: bounded in all and by address, and the longest idle one goes first."""

import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import anyio
import pytest
from anyio import lowlevel
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteStream
from leadflood.api.http.connections import LEAST_CONNECTIONS, limits_of, most_connections
from leadflood.api.http.settings import Settings
from leadflood.app import Node
from leadflood.engine.clock import REAL_TIME
from structlog.testing import capture_logs

from tests.support.api import OPERATOR_TOKEN, Client, running_api
from tests.support.open_files import limited_files
from tests.support.raw import read_answer

pytestmark = pytest.mark.pg
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
FROM = ("127.0.0.2", 0)
EXPECT = b"Expect: 100-continue\r\n"
SLOW_BODY = (
    b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n"
    + EXPECT
    + b"\r\n"
)
LOGIN = b"POST /v1/auth/login HTTP/1.1\r\n" + SLOW_BODY
CHANGE = (
    f"POST /v1/leads HTTP/1.1\r\nAuthorization: Bearer {OPERATOR_TOKEN}\r\n".encode() + SLOW_BODY
)


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


async def begin(sockets: list[SocketStream], head: bytes) -> None:
    """Send the head of a request; return when the server waits for the body."""
    for each in sockets:
        await each.send(head)
        assert (await each.receive()).startswith(b"HTTP/1.1 100")
        await each.send(b"{")


async def has_ended(socket: SocketStream) -> bool:
    """Whether the server has ended a connection on which it has nothing to answer yet."""
    with anyio.move_on_after(0.2):
        try:
            await socket.receive()
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            return True
    return False


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


@pytest.mark.parametrize("limits", [{"connections_per_address": 4}, {"connections": 4}])
async def test_a_body_that_is_still_arriving_keeps_nobody_out(
    node: Node, limits: dict[str, int]
) -> None:
    async with (
        running_api(node, **limits) as api,
        connected_from(api, *["127.0.0.2"] * 4) as slow,
    ):
        await begin(slow, LOGIN)
        async with connected_from(api, "127.0.0.2") as newcomers:
            assert await cut_of(newcomers) == []
            assert [await has_ended(socket) for socket in slow] == [True, False, False, False]


async def test_the_body_of_a_known_caller_is_the_last_to_be_ended(node: Node) -> None:
    async with (
        running_api(node, connections_per_address=3) as api,
        connected_from(api, *["127.0.0.2"] * 3) as sockets,
    ):
        await begin(sockets[:1], CHANGE)
        await begin(sockets[1:], LOGIN)
        async with connected_from(api, *["127.0.0.2"] * 2) as newcomers:
            assert await cut_of(newcomers) == []
            assert [await has_ended(socket) for socket in sockets] == [False, True, True]
            await begin(newcomers, CHANGE)
            async with connected_from(api, "127.0.0.2") as more:
                assert await cut_of(more) == []
                assert [await has_ended(socket) for socket in newcomers] == [False, False]
            assert await has_ended(sockets[0])


async def test_a_body_may_take_longer_than_a_connection_may_idle_if_its_sender_is_known(
    node: Node,
) -> None:
    async with (
        running_api(node, idle_seconds=0.1) as api,
        connected_from(api, "127.0.0.2", "127.0.0.3") as sockets,
    ):
        await begin(sockets[:1], CHANGE)
        await begin(sockets[1:], LOGIN)
        await REAL_TIME.sleep(0.3)
        assert [await has_ended(socket) for socket in sockets] == [False, True]


async def test_a_request_cut_while_its_body_arrives_is_no_fault_of_ours(node: Node) -> None:
    with capture_logs() as logs:
        async with running_api(node, connections_per_address=1) as api:
            host, _, port = api.address.removeprefix("http://").partition(":")
            with ExitStack() as stack:
                for _ in range(20):
                    # nothing is awaited: the server sees the body and the next one to come at once
                    connecting = socket.create_connection((host, port), source_address=FROM)
                    stack.enter_context(connecting).sendall(LOGIN.replace(EXPECT, b"") + b"{")
                    await lowlevel.checkpoint()
                for _ in range(50):
                    await lowlevel.checkpoint()
    statuses = {entry["status"] for entry in logs if entry["event"] == "http.request.answered"}
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert statuses == {400}  # they are what the metrics count, too


async def test_event_streams_take_no_place_of_their_address(node: Node) -> None:
    async with running_api(node, connections_per_address=2) as api, AsyncExitStack() as stack:
        for _ in range(3):
            listening = api.session.ws_connect(f"{api.address}/v1/events", headers=api.auth)
            await stack.enter_async_context(listening)
        async with connected_from(api, "127.0.0.1", "127.0.0.1") as others:
            assert await cut_of(others) == []


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
