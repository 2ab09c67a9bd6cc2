"""Connections: how many may be open, in all and from one address, and how long one may idle.

One is idle while no whole request of it is answered: before the first one (headers that drip in),
between two, and while a body is still arriving. One too many ends the one that has idled longest,
that of a caller who is known last; where all are answered, it is refused itself. An event stream
takes no place of its address: streams have bounds of their own.
"""

from collections.abc import Iterator, Set as AbstractSet
from contextlib import contextmanager
from functools import partial

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
        # both: the longest first
        self._idle_since: dict[web.RequestHandler, float] = {}
        self._known_since: dict[web.RequestHandler, float] = {}
        """Those on which the body of a known caller arrives."""
        self._request_on: dict[web.RequestHandler, web.BaseRequest] = {}
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
            surplus = self._longest_idle(others) or connection
        elif len(self) >= self._limits.in_all:
            surplus = self._longest_idle() or connection
        if surplus is not None:
            self._cut(surplus)
            self._report_full(address if is_full_there else "all")
        if surplus is not connection:
            self._address_of[connection] = address
            self._take_place(connection)
            self._metrics.connections = len(self)
            self._idle_since[connection] = REAL_TIME.monotonic()

    def remove(self, connection: web.RequestHandler) -> None:
        """Forget a connection that is closed."""
        self._end_idling(connection)
        if connection in self._address_of:
            self._leave_place(connection)
            del self._address_of[connection]
            self._metrics.connections = len(self)

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """Mark a connection as answered while the block runs, from when its request is whole."""
        connection = request.protocol
        self._request_on[connection] = request
        self._idle_from_now(connection)
        request.content.on_eof(partial(self._read_whole, request))
        try:
            yield
        finally:
            del self._request_on[connection]
            self._idle_from_now(connection)

    def record_known(self, request: web.Request) -> None:
        """Record that the caller is known: their body is among the last to be ended."""
        connection = request.protocol
        if connection in self._idle_since:
            self._end_idling(connection)
            self._known_since[connection] = REAL_TIME.monotonic()

    @contextmanager
    def streaming(self, request: web.Request) -> Iterator[None]:
        """Leave the address's place to others while the block runs."""
        connection = request.protocol
        self._leave_place(connection)
        try:
            yield
        finally:
            self._take_place(connection)

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

    def _take_place(self, connection: web.RequestHandler) -> None:
        """Count a connection to its address, unless it has ended."""
        address = self._address_of.get(connection)
        if address is not None:
            self._by_address.setdefault(address, set()).add(connection)

    def _leave_place(self, connection: web.RequestHandler) -> None:
        address = self._address_of.get(connection, "")
        others = self._by_address.get(address, set())
        others.discard(connection)
        if not others:
            self._by_address.pop(address, None)

    def _read_whole(self, request: web.Request) -> None:
        """End the idling, unless the request was answered before its body was read."""
        if self._request_on.get(request.protocol) is request:
            self._end_idling(request.protocol)

    def _idle_from_now(self, connection: web.RequestHandler) -> None:
        self._end_idling(connection)
        if connection in self._address_of:
            self._idle_since[connection] = REAL_TIME.monotonic()

    def _end_idling(self, connection: web.RequestHandler) -> None:
        self._idle_since.pop(connection, None)
        self._known_since.pop(connection, None)

    def _longest_idle(
        self, others: AbstractSet[web.RequestHandler] | None = None
    ) -> web.RequestHandler | None:
        """Return which one to end, of these where some are named; None: all are answered."""
        for since in (self._idle_since, self._known_since):
            if others is not None:
                idle = since.keys() & others
                longest = min(idle, key=since.__getitem__, default=None)
            else:
                longest = next(iter(since), None)
            if longest is not None:
                return longest
        return None

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
