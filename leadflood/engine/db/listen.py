"""Notifications on a connection of its own, which comes back by itself when it is cut."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import asyncpg
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx, is_lost

SQL = load_queries(__file__)
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MOST_SECONDS = 5.0
PING_SECONDS = 30.0
PING_TIMEOUT_SECONDS = 10.0
MISSED = ""


class Listener:
    """Listens on channels. A wake-up, never a truth: whoever is woken reads the tables."""

    def __init__(self, settings: Settings, channels: Sequence[str], clock: Clock) -> None:
        self._settings = settings
        self._channels = tuple(channels)
        self._clock = clock

    async def watch(self) -> AsyncGenerator[str, None]:
        """Yield each notification's payload; `""` after each (re)connection: some may be missed.

        Waits: without end; reconnects with backoff in the clock's time. Close it with `aclosing`.
        """
        pause_seconds = RECONNECT_FIRST_SECONDS
        while True:
            try:
                async with self._listening() as (connection, payloads):
                    pause_seconds = RECONNECT_FIRST_SECONDS
                    yield MISSED
                    while True:
                        payload = await self._next(connection, payloads)
                        if payload is not None:
                            yield payload
            except (anyio.EndOfStream, TimeoutError, asyncpg.PostgresError, OSError) as error:
                if isinstance(error, asyncpg.PostgresError) and not is_lost(error):
                    raise
            await self._clock.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, RECONNECT_MOST_SECONDS)

    @asynccontextmanager
    async def _listening(
        self,
    ) -> AsyncIterator[tuple[asyncpg.Connection, MemoryObjectReceiveStream[str]]]:
        async with own_connection(self._settings) as connection:
            payloads_in, payloads = anyio.create_memory_object_stream[str](math.inf)
            with payloads_in, payloads:
                connection.add_termination_listener(lambda _: payloads_in.close())
                for channel in self._channels:
                    await connection.add_listener(channel, _forward_to(payloads_in))
                yield connection, payloads

    async def _next(
        self, connection: asyncpg.Connection, payloads: MemoryObjectReceiveStream[str]
    ) -> str | None:
        """Wait for a notification; None after a quiet while in which the server answered."""
        with anyio.move_on_after(PING_SECONDS):
            return await payloads.receive()
        with anyio.fail_after(PING_TIMEOUT_SECONDS):
            await Tx(connection).fetch_one(SQL.read_session)
        return None


def _forward_to(
    payloads_in: MemoryObjectSendStream[str],
) -> Callable[[object, int, str, object], None]:
    def forward(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # nobody listens now
            payloads_in.send_nowait(str(payload))

    return forward
