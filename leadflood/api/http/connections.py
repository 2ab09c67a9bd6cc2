"""Connections: how many may be open, in all and from one address, and how long one may idle.

One is idle while no request of it is answered: before the first one (headers that drip in), between
two, and while nobody takes an answer. One too many ends the one that has idled longest; where all
are answered, it is refused itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web

from leadflood.api.http.client_address import Proxies, bucket_of, plain
from leadflood.api.http.settings import Settings
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.open_files import read_limit

LOOK_SECONDS = 1.0
LEAST_RESERVE = 256
"""Files kept free of connections: the pool, providers, uploads, and what the system has accepted
but not handed over yet."""
RESERVE_RATIO = 0.25
LEAST_CONNECTIONS = 16
BACKLOG = 128


class Limits(msgspec.Struct, frozen=True):
    """How many connections may be open in all, and from one address."""

    in_all: int
    per_address: int


def limits_of(http: Settings) -> Limits:
    """Return the limits: those of the settings, less where the process may open fewer files."""
    return Limits(min(http.connections, most_connections()), http.connections_per_address)


def most_connections() -> int:
    """Return how many connections the limit of open files leaves room for."""
    limit = read_limit()
    reserve = max(LEAST_RESERVE, int(RESERVE_RATIO * limit))
    return max(LEAST_CONNECTIONS, limit - reserve)


class Connections:
    """Knows all connections, which of them are answered, and since when the others idle."""

    def __init__(
        self, idle_seconds: float, limits: Limits, proxies: Proxies, metrics: RouteMetrics
    ) -> None:
        self._idle_seconds = idle_seconds
        self._limits = limits
        self._proxies = proxies
        self._metrics = metrics
        self._address_of: dict[web.RequestHandler, str] = {}
        self._by_address: dict[str, set[web.RequestHandler]] = {}
        # the longest idle first
        self._idle_since: dict[web.RequestHandler, float] = {}
        self._reported_at = float("-inf")

    def __len__(self) -> int:
        return len(self._address_of)

    def add(self, connection: web.RequestHandler, peer: str) -> None:
        """Take a new connection in; where there are too many, end one."""
        address = bucket_of(plain(peer))
        others = self._by_address.get(address, set())
        is_full_there = len(others) >= self._limits.per_address
        surplus = None
        if is_full_there and not self._proxies.is_trusted(plain(peer)):
            surplus = self._longest_idle_of(others) or connection
        elif len(self) >= self._limits.in_all:
            surplus = next(iter(self._idle_since), connection)
        if surplus is not None:
            self._cut(surplus)
            self._report_full(address if is_full_there else "all")
        if surplus is not connection:
            self._by_address.setdefault(address, set()).add(connection)
            self._address_of[connection] = address
            self._metrics.connections = len(self)
            self._idle_since[connection] = REAL_TIME.monotonic()

    def remove(self, connection: web.RequestHandler) -> None:
        """Forget a connection that is closed."""
        address = self._address_of.pop(connection, None)
        self._idle_since.pop(connection, None)
        if address is not None:
            others = self._by_address[address]
            others.discard(connection)
            self._metrics.connections = len(self)
            if not others:
                del self._by_address[address]

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """Mark a connection as answered while the block runs."""
        connection = request.protocol
        self._idle_since.pop(connection, None)
        try:
            yield
        finally:
            if connection in self._address_of:
                self._idle_since[connection] = REAL_TIME.monotonic()

    async def watch(self) -> None:
        """Cut the idle ones for ever."""
        while True:
            await REAL_TIME.sleep(min(LOOK_SECONDS, self._idle_seconds / 4))
            self._cut_late()

    def _cut_late(self) -> None:
        """Cut connections that have been idle too long."""
        late_at = REAL_TIME.monotonic() - self._idle_seconds
        late = [connection for connection, since in self._idle_since.items() if since <= late_at]
        for connection in late:
            self._cut(connection)

    def _longest_idle_of(self, others: set[web.RequestHandler]) -> web.RequestHandler | None:
        idle = [connection for connection in others if connection in self._idle_since]
        return min(idle, key=self._idle_since.__getitem__, default=None)

    def _report_full(self, limit: str) -> None:
        """Count a connection that was one too many; log it once a second at most."""
        self._metrics.connections_cut += 1
        now = REAL_TIME.monotonic()
        if now - self._reported_at >= LOOK_SECONDS:
            self._reported_at = now
            log.warning(
                "http.connections.full",
                limit=limit,
                open=len(self),
                cut=self._metrics.connections_cut,
            )

    def _cut(self, connection: web.RequestHandler) -> None:
        """End a connection at once: what its client has not taken yet is dropped."""
        self.remove(connection)
        transport = connection.transport
        connection.force_close()
        if transport is not None:
            transport.abort()
