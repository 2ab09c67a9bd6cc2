"""Recorded answers of vendors, replayed behind a real socket."""

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


class RecordedRequest(msgspec.Struct, frozen=True):
    """One request as it arrived; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        return msgspec.json.decode(self.body)


Script = Callable[[RecordedRequest], Answer]


class Tape:
    """A server that plays answers in turn (the last one repeatedly), or those of a script."""

    def __init__(self, *answers: Answer, script: Script | None = None) -> None:
        self._answers = list(answers)
        self._script = script
        self.seen: list[RecordedRequest] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        received = RecordedRequest(request.method, request.path, dict(request.query), headers, body)
        self.seen.append(received)
        answer = self._next(received)
        entries = {"content-type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=answer.body, headers=entries)

    def _next(self, received: RecordedRequest) -> Answer:
        if self._script:
            return self._script(received)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def playing(*answers: Answer, script: Script | None = None) -> AsyncIterator[Tape]:
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


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Conversation) -> AsyncIterator[int]:
    """Serve raw bytes on 127.0.0.1, for cuts, silence and garbage. Yields the port."""
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
    """Read the request, then hang up without an answer."""
    await read_request(reader)
    writer.close()


async def cut_in_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce a hundred bytes, send ten."""
    await read_request(reader)
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    )
    writer.write(b'{"person":')
    await writer.drain()


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request and stay silent until the client gives up."""
    del writer
    while await reader.read(65_536):
        pass


def _recorded() -> dict[str, Answer]:
    entries = json.loads((SAMPLES / "MANIFEST.json").read_text())
    return {
        name: Answer(
            status=entry["status"],
            body=(SAMPLES / name).read_bytes(),
            headers=entry["headers"],
            content_type=entry["content_type"],
        )
        for name, entry in entries.items()
    }


RECORDED = _recorded()


def sample(name: str) -> Answer:
    """Find a recorded answer with the status and headers it was recorded with."""
    return RECORDED[name]
