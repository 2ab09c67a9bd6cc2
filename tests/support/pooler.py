"""A pooler, as small as one can be: clients take turns on server sessions.

It speaks enough of the protocol (version 3.0) for trust authentication and extended queries. In
transaction mode a client has a server session from its first message to the answer "idle"; then
another may have it. In session mode it has one to its end. As PgBouncer does, it refuses start-up
parameters that it does not track.
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

TRACKED = {"user", "database", "client_encoding", "application_name", "TimeZone", "DateStyle"}
"""What PgBouncer lets through without `ignore_startup_parameters`."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Sessions of the server that wait for a client, the last used first."""

    def __init__(self, socket_path: str, *, is_per_session: bool) -> None:
        self._socket_path = socket_path
        self._is_per_session = is_per_session
        self._idle: deque[tuple[Streams, bytes]] = deque()
        self._opened: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        self._opened.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            startup = await _read_startup(reader)
            while startup[4:8] == struct.pack("!i", 80877103):  # asks for TLS
                writer.write(b"N")
                startup = await _read_startup(reader)
            if untracked := _names_of(startup) - TRACKED:
                writer.write(_refusal(f"unsupported startup parameter: {min(untracked)}"))
                writer.close()
                return
            session = await self._take(startup)
            writer.write(session[1])
            if self._is_per_session:
                await _relay_to_the_end(reader, writer, session[0])
                return
            self._idle.append(session)
            while True:
                message = await _read_message(reader)
                if message[:1] == b"X":
                    break
                session = await self._take(startup)
                await _relay(message, reader, writer, session[0])
                self._idle.append(session)
        writer.close()

    async def _take(self, startup: bytes) -> tuple[Streams, bytes]:
        if self._idle:
            return self._idle.pop()
        streams = await asyncio.open_unix_connection(self._socket_path)
        self._opened.append(streams[1])
        streams[1].write(startup)
        greeting = b""
        while True:
            message = await _read_message(streams[0])
            greeting += message
            if message[:1] in {b"Z", b"E"}:
                return streams, greeting

    def close(self) -> None:
        """Cut everything."""
        for writer in self._opened:
            writer.close()


async def _relay_to_the_end(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Streams
) -> None:
    """Carry everything both ways until one side ends; the session ends with its client."""

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(carry, reader, server[1])
        tasks.start_soon(carry, server[0], writer)


def _names_of(startup: bytes) -> set[str]:
    """Return the parameters that a start-up message names."""
    return {name.decode() for name in startup[8:].split(b"\0")[:-1:2] if name}


def _refusal(text: str) -> bytes:
    fields = b"".join(
        code + value + b"\0"
        for code, value in ((b"S", b"FATAL"), (b"C", b"08P01"), (b"M", text.encode()))
    )
    return b"E" + struct.pack("!i", 5 + len(fields)) + fields + b"\0"


async def _relay(
    message: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Streams
) -> None:
    """Carry one client's transaction: messages up to Sync, answers up to idle."""
    endings = {b"S": {b"Z"}, b"Q": {b"Z"}, b"H": {b"T", b"n", b"E"}}  # Flush follows Describe
    while True:
        server[1].write(message)
        last = endings.get(message[:1])
        answer = b""
        while last is not None and answer[:1] not in last:
            answer = await _read_message(server[0])
            writer.write(answer)
        if answer[:1] == b"Z" and answer[5:6] == b"I":
            return
        message = await _read_message(reader)


async def _read_startup(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("!i", length)[0] - 4)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


@asynccontextmanager
async def transaction_pooler(socket_path: str) -> AsyncIterator[int]:
    """Run a pooler in transaction mode before a server's socket; yields its port on 127.0.0.1."""
    async with _running(Pooler(socket_path, is_per_session=False)) as port:
        yield port


@asynccontextmanager
async def session_pooler(socket_path: str) -> AsyncIterator[int]:
    """Run one in session mode."""
    async with _running(Pooler(socket_path, is_per_session=True)) as port:
        yield port


@asynccontextmanager
async def _running(pooler: Pooler) -> AsyncIterator[int]:
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        pooler.close()
