"""Bytes on a socket, for what no client library sends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.streams.buffered import BufferedByteStream

from tests.support.api import Answer, Client

LONGEST_HEAD = 65_536


@asynccontextmanager
async def connected(api: Client) -> AsyncIterator[BufferedByteStream]:
    host, _, port = api.address.removeprefix("http://").partition(":")
    async with BufferedByteStream(await anyio.connect_tcp(host, int(port))) as socket:
        yield socket


async def send_raw(api: Client, raw: bytes) -> Answer:
    """Send bytes; read the one answer."""
    async with connected(api) as socket:
        await socket.send(raw)
        return await read_answer(socket)


async def read_answer(socket: BufferedByteStream) -> Answer:
    """Read an answer to its end, by its Content-Length."""
    with anyio.fail_after(10):
        status, headers = read_head(await socket.receive_until(b"\r\n\r\n", LONGEST_HEAD))
        body = await socket.receive_exactly(int(headers.get("Content-Length", "0")))
    return Answer(status, headers, body)


def read_head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines)
