"""Idle connections: clients that hold one and neither ask nor listen are let go."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from leadflood.engine.clock import REAL_TIME

LOOK_SECONDS = 1.0


class Connections:
    """Knows which connections are answered; the others must finish a request in `idle_seconds`.

    That holds before the first request (headers that drip in), between two, and for an answer
    that nobody takes.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._busy: set[web.RequestHandler] = set()
        self._idle_since: dict[web.RequestHandler, float] = {}

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """Mark a connection as answered while the block runs."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            self._idle_since[connection] = REAL_TIME.monotonic()

    async def watch(self, server: web.Server) -> None:
        """Cut the idle ones for ever."""
        while True:
            await REAL_TIME.sleep(min(LOOK_SECONDS, self._idle_seconds / 4))
            self.cut_idle(server)

    def cut_idle(self, server: web.Server) -> int:
        """Cut connections that have been idle too long; return how many."""
        now = REAL_TIME.monotonic()
        open_now = set(server.connections)
        self._idle_since = {
            connection: self._idle_since.get(connection, now)
            for connection in open_now - self._busy
        }
        late = [
            connection
            for connection, since in self._idle_since.items()
            if now - since >= self._idle_seconds
        ]
        for connection in late:
            connection.force_close()
        return len(late)
