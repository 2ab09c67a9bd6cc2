"""Recorded answers behind a real socket: what a vendor is known to say, replayed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from aiohttp import web

SAMPLES = Path(__file__).resolve().parent.parent / "providers" / "samples"


class Answer(msgspec.Struct, frozen=True):
    """One recorded answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    content_type: str = "application/json; charset=utf-8"


class Seen(msgspec.Struct, frozen=True):
    """One request as it arrived; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        return msgspec.json.decode(self.body)


Script = Callable[[Seen], Answer]


class Tape:
    """A server that plays answers in turn (the last one again and again), or asks a script."""

    def __init__(self, *answers: Answer, script: Script | None = None) -> None:
        self._answers = list(answers)
        self._script = script
        self.seen: list[Seen] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        seen = Seen(request.method, request.path, dict(request.query), headers, body)
        self.seen.append(seen)
        answer = self._next(seen)
        told = {"content-type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=answer.body, headers=told)

    def _next(self, seen: Seen) -> Answer:
        if self._script:
            return self._script(seen)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def played(*answers: Answer, script: Script | None = None) -> AsyncIterator[Tape]:
    """Serve a tape on 127.0.0.1."""
    tape = Tape(*answers, script=script)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tape.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        tape.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield tape
    finally:
        await runner.cleanup()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[int]:
    """Serve bytes by hand on 127.0.0.1: for cuts, silence and rubbish. Yields the port."""
    talks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            if task is not None and not task.done():
                task.cancel()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> None:
    """Read one whole HTTP request."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
    await reader.readexactly(int(length or 0))


async def cut_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request, then hang up without a word."""
    await read_request(reader)
    writer.close()


async def cut_in_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise a hundred bytes, give ten."""
    await read_request(reader)
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    )
    writer.write(b'{"person":')
    await writer.drain()


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request and stay silent until the other side gives up."""
    del writer
    while await reader.read(65_536):
        pass


def _recorded() -> dict[str, Answer]:
    told = json.loads((SAMPLES / "MANIFEST.json").read_text())
    return {
        name: Answer(
            status=about["status"],
            body=(SAMPLES / name).read_bytes(),
            headers=about["headers"],
            content_type=about["content_type"],
        )
        for name, about in told.items()
    }


RECORDED = _recorded()


def sample(name: str) -> Answer:
    """Find a recorded answer with the status and headers it was recorded with."""
    return RECORDED[name]
