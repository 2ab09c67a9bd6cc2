"""Many who listen to the event stream, in a process of their own: reads frames as they are.

    python -m benchmarks.api_stream '{"address": …, "token": …, "clients": 1000, "seconds": 20}'

Answers `{"connected": n}` when all listen, then, when the time is over, how long events took from
their moment to each listener, and how many each got.
"""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from time import perf_counter
from typing import cast

import anyio
import msgspec
import uvloop
from typing_extensions import override

from benchmarks.world import CLOCK, percentile, print_line

TYPE = b'"type":"leads.lead.created"'
_AT = re.compile(rb'"at":"([^"]+)"')
PING, PONG = b"\x89", b"\x8a\x80\x00\x00\x00\x00"
CONNECT_SECONDS = 60
AT_ONCE = 50
STILL_SECONDS = 2.0
LATEST_SECONDS = 60.0


class Spec(msgspec.Struct, frozen=True):
    """Who listens where, for how long."""

    address: str
    token: str
    clients: int
    seconds: float


class Listener(asyncio.Protocol):
    """One listener: counts the events, and looks how old the oldest of each read is."""

    def __init__(self, waits_ms: list[float]) -> None:
        self._waits_ms = waits_ms
        self._transport: asyncio.Transport
        self.opened = asyncio.Event()
        self.heard = 0
        self.is_lost = False
        self._rest = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> None:
        """Ask for the stream."""
        self._transport.write(request)

    @override
    def data_received(self, data: bytes) -> None:
        if not self.opened.is_set():
            head, _, data = data.partition(b"\r\n\r\n")
            if b" 101 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(head.decode(errors="replace")[:300])
            self.opened.set()
        if data.startswith(PING):
            self._transport.write(PONG)
        buffer = self._rest + data
        count = buffer.count(TYPE)
        self.heard += count
        # an event that is cut is counted with the next read: so much of this one is kept
        self._rest = (
            buffer[buffer.rfind(TYPE) + len(TYPE) :][-len(TYPE) :] if count else buffer[-500:]
        )
        if count and (at := _AT.search(buffer)):
            self._waits_ms.append((CLOCK.now() - _instant(at[1])).total_seconds() * 1000)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def close(self) -> None:
        """Leave."""
        self._transport.close()


@lru_cache(maxsize=64)
def _instant(text: bytes) -> datetime:
    return datetime.fromisoformat(text.decode())


async def _main(spec: Spec) -> None:
    host, port = spec.address.removeprefix("http://").split(":")
    request = (
        f"GET /v1/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {spec.token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    waits_ms: list[float] = []
    listeners: list[Listener] = []
    room = anyio.CapacityLimiter(AT_ONCE)

    async def listen() -> None:
        async with room:
            _, listener = await asyncio.get_running_loop().create_connection(
                lambda: Listener(waits_ms), host, int(port)
            )
            listener.ask(request)
            await listener.opened.wait()
            listeners.append(listener)

    with anyio.fail_after(CONNECT_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(spec.clients):
                group.start_soon(listen)
    waits_ms.clear()
    print_line({"connected": len(listeners)})
    started_at = perf_counter()
    await CLOCK.sleep(spec.seconds)
    with anyio.move_on_after(LATEST_SECONDS):
        await _until_still(listeners)
    print_line(
        {
            "p50_ms": percentile(waits_ms, 0.5),
            "p99_ms": percentile(waits_ms, 0.99),
            "heard": sum(one.heard for one in listeners),
            "least": min(one.heard for one in listeners),
            "lost": sum(one.is_lost for one in listeners),
            "seconds": perf_counter() - started_at,
        }
    )
    for one in listeners:
        one.close()


async def _until_still(listeners: Sequence[Listener]) -> None:
    """Wait until nobody hears anything any more: a busy machine tells late, and that is told."""
    heard_count = -1
    while heard_count != (now := sum(listener.heard for listener in listeners)):
        heard_count = now
        await CLOCK.sleep(STILL_SECONDS)


if __name__ == "__main__":
    uvloop.run(_main(msgspec.convert(json.loads(sys.argv[1]), Spec)))
