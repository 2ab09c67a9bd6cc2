"""The HTTP client against raw sockets that misbehave."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream
from leadflood.engine.net.calls import Cut, Oversized, Unreached
from leadflood.engine.net.client import HttpClient, Settings, open_client

Talk = Callable[[SocketStream], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Left: 3\r\n\r\nhi"
BODY = b'{"who": "you"}'


@asynccontextmanager
async def other_side(talk: Talk) -> AsyncIterator[str]:
    """Serve each connection by `talk` on a free port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await talk(stream)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        yield f"http://127.0.0.1:{port}/v1/match"
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def a_client(settings: Settings = Settings(body_bytes=1000)) -> AsyncIterator[HttpClient]:  # noqa: B008 - frozen
    async with open_client(settings) as client:
        yield client


async def read_request(stream: SocketStream) -> bytes:
    read = b""
    while not read.endswith(BODY):
        read += await stream.receive()
    return read


async def test_an_answer_of_any_status_is_read_whole_with_lower_case_headers() -> None:
    async def talk(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(OK.replace(b"200 OK", b"429 Slow"))

    async with other_side(talk) as url, a_client() as client:
        reply = await client.request("POST", url, body=BODY)

    assert (reply.status, reply.body, reply.headers["x-left"]) == (429, b"hi", "3")


async def test_redirects_are_not_followed() -> None:
    async def talk(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        )

    async with other_side(talk) as url, a_client() as client:
        reply = await client.request("POST", url, body=BODY)

    assert reply.status == 302


async def test_a_refused_connection_is_unreached_and_hides_the_query() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        async with a_client() as client:
            with pytest.raises(Unreached) as exc_info:
                await client.request("GET", f"http://127.0.0.1:{port}/x", params={"key": "secret"})

    assert "secret" not in str(exc_info.value)
    assert f"127.0.0.1:{port}/x" in str(exc_info.value)


async def test_a_name_that_does_not_resolve_is_unreached() -> None:
    async with a_client() as client:
        with pytest.raises(Unreached):
            await client.request("GET", "http://no-such-host.invalid/", timeout_seconds=5)


async def test_an_address_that_is_none_is_unreached() -> None:
    async with a_client() as client:
        with pytest.raises(Unreached):
            await client.request("GET", "apollo", timeout_seconds=5)


async def test_a_connection_that_takes_no_bytes_in_time_is_unreached() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003 - the socket's own signature
            filler.connect_ex(("127.0.0.1", port))

        async with a_client() as client:
            with pytest.raises(Unreached):
                await client.request(
                    "POST", f"http://127.0.0.1:{port}/", body=BODY, timeout_seconds=0.3
                )

        for filler in fillers:
            filler.close()


async def hang_up(stream: SocketStream) -> None:
    await read_request(stream)


async def half_an_answer(stream: SocketStream) -> None:
    await read_request(stream)
    await stream.send(OK[:-1])


async def garbage(stream: SocketStream) -> None:
    await read_request(stream)
    await stream.send(b"\x00\xff\x13 this is not http\r\n\r\n")


async def say_nothing(stream: SocketStream) -> None:
    await read_request(stream)
    await anyio.sleep_forever()


@pytest.mark.parametrize("talk", [hang_up, half_an_answer, garbage, say_nothing])
async def test_a_request_that_was_written_but_not_answered_is_cut(talk: Talk) -> None:
    async with other_side(talk) as url, a_client() as client:
        with pytest.raises(Cut) as exc_info:
            await client.request("POST", url, body=BODY, timeout_seconds=0.5)

    assert not isinstance(exc_info.value, Oversized)


async def test_a_get_on_a_closed_connection_is_not_sent_twice() -> None:
    requests = []

    async def talk(stream: SocketStream) -> None:
        requests.append(await stream.receive())
        if len(requests) == 1:
            await stream.send(OK)
            requests.append(await stream.receive())

    async with other_side(talk) as url, a_client() as client:
        await client.request("GET", url)
        with pytest.raises(Cut):
            await client.request("GET", url, timeout_seconds=1)

    assert len(requests) == 2


@pytest.mark.parametrize("head", [b"content-length: 100000000\r\n", b"connection: close\r\n"])
async def test_an_answer_beyond_the_cap_is_given_up(head: bytes) -> None:
    async def talk(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        try:
            while True:
                await stream.send(b"x" * 4096)
        except anyio.BrokenResourceError:
            pass

    async with other_side(talk) as url, a_client() as client:
        with pytest.raises(Oversized):
            await client.request("POST", url, body=BODY, timeout_seconds=5)
