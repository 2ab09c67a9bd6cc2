"""A proxy before Postgres that loses the reply to a COMMIT: it is done, but nobody is told."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc

COMMIT = b"Q" + struct.pack("!I", 4 + len(b"COMMIT;\x00")) + b"COMMIT;\x00"
LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class Cutter:
    """Cuts every `every`-th connection that commits, right after the server has answered."""

    def __init__(self, socket: Path, every: int) -> None:
        self._socket = socket
        self._every = every
        self.commits = 0
        self.cuts = 0

    async def serve(self, client: anyio.abc.ByteStream) -> None:
        """Carry bytes both ways until one side has gone or it is time to cut."""
        async with client, await anyio.connect_unix(self._socket) as server:
            is_lost = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._carry_answers, server, client, is_lost, tasks.cancel_scope)
                with suppress(*LOST):
                    await self._carry_questions(client, server, is_lost)
                if is_lost.is_set():
                    with anyio.move_on_after(2):
                        await anyio.sleep_forever()
                tasks.cancel_scope.cancel()

    async def _carry_questions(
        self, client: anyio.abc.ByteStream, server: anyio.abc.ByteStream, is_lost: anyio.Event
    ) -> None:
        async for chunk in client:
            if COMMIT in chunk:
                self.commits += 1
                if self.commits % self._every == 0:
                    self.cuts += 1
                    is_lost.set()
                    await server.send(chunk)
                    return
            await server.send(chunk)

    async def _carry_answers(
        self,
        server: anyio.abc.ByteStream,
        client: anyio.abc.ByteStream,
        is_lost: anyio.Event,
        scope: anyio.CancelScope,
    ) -> None:
        with suppress(*LOST):
            async for chunk in server:
                if is_lost.is_set():  # the answer to COMMIT: it stays here
                    break
                await client.send(chunk)
        scope.cancel()


@asynccontextmanager
async def cutting_proxy(database_url: str, every: int) -> AsyncIterator[tuple[str, Cutter]]:
    """Stand between a worker and the server behind a socket; tell the URL that leads through."""
    parts = urlsplit(database_url)
    asked = parse_qs(parts.query)
    socket = Path(asked["host"][0]) / f".s.PGSQL.{asked['port'][0]}"
    cutter = Cutter(socket, every)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, cutter.serve)
            user = parts.netloc.removesuffix("@")
            path = parts.path
            yield f"postgresql://{user}@127.0.0.1:{port}{path}?sslmode=disable", cutter
            tasks.cancel_scope.cancel()
