"""Connections that are kept open: as many at once as are allowed, here and by the other side."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.errors import Transient

ConnectionT = TypeVar("ConnectionT")


class TooMany(Transient):
    """The other side takes no further connection of ours for now."""

    code = "net.too_many_connections"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many connections are open at once, how long one stays idle, how often it is used.

    `regrow_seconds` after the other side refused one more, another is tried.
    """

    connections: int = 64
    idle_seconds: float = 20.0
    uses: int = 20
    regrow_seconds: float = 60.0


class Pooled(Generic[ConnectionT]):
    """A connection while it is lent; one that is not `is_good` at the end is closed."""

    __slots__ = ("connection", "idle_since", "is_good", "uses")

    def __init__(self, connection: ConnectionT) -> None:
        self.connection = connection
        self.uses = 0
        self.idle_since = 0.0
        self.is_good = False


class ConnectionPool(Generic[ConnectionT]):
    """Lends open connections; `connect` opens one, `is_alive` asks one that was idle.

    Where `connect` raises TooMany while others are open, the pool waits for one of these.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[ConnectionT]],
        is_alive: Callable[[ConnectionT], Awaitable[bool]],
        close: Callable[[ConnectionT], None],
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._connect = connect
        self._is_alive = is_alive
        self._close = close
        self._clock = clock
        self._settings = settings
        self._idle: list[Pooled[ConnectionT]] = []
        self._open = 0
        self._most = settings.connections
        self._shrunk_at = 0.0
        self._returned = asyncio.Event()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Pooled[ConnectionT]]:
        """Lend a connection for the block; mark it `is_good` where it may be used again.

        Waits: for one that is returned, where no further one may be opened.
        """
        pooled = await self._take()
        try:
            yield pooled
        finally:
            pooled.uses += 1
            pooled.idle_since = self._clock.monotonic()
            if pooled.is_good and pooled.uses < self._settings.uses:
                self._idle.append(pooled)
            else:
                self._drop(pooled)
            self._returned.set()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._drop(self._idle.pop())

    async def _take(self) -> Pooled[ConnectionT]:
        while True:
            if (pooled := await self._take_idle()) is not None:
                return pooled
            if self._open < self._limit():
                try:
                    return await self._open_another()
                except TooMany:
                    if self._open == 0:
                        raise
                    self._most, self._shrunk_at = self._open, self._clock.monotonic()
            if not self._idle:
                self._returned.clear()
                await self._returned.wait()

    async def _take_idle(self) -> Pooled[ConnectionT] | None:
        while self._idle:
            pooled = self._idle.pop()
            is_fresh = self._clock.monotonic() - pooled.idle_since < self._settings.idle_seconds
            is_lent = False
            try:
                is_lent = is_fresh and await self._is_alive(pooled.connection)
            finally:
                if not is_lent:
                    self._drop(pooled)
            if is_lent:
                pooled.is_good = False
                return pooled
        return None

    async def _open_another(self) -> Pooled[ConnectionT]:
        self._open += 1
        try:
            return Pooled(await self._connect())
        except BaseException:
            self._open -= 1
            self._returned.set()
            raise

    def _limit(self) -> int:
        """Return how many may be open now; after a while one more than were refused is tried."""
        is_shrunk = self._most < self._settings.connections
        waited_seconds = self._clock.monotonic() - self._shrunk_at
        if is_shrunk and waited_seconds >= self._settings.regrow_seconds:
            self._most, self._shrunk_at = self._most + 1, self._clock.monotonic()
        return self._most

    def _drop(self, pooled: Pooled[ConnectionT]) -> None:
        self._open -= 1
        self._returned.set()
        self._close(pooled.connection)
