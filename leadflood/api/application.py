"""The API as a whole: its routes and what they share, served by the framework."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from leadflood.api.http.routing import Route
from leadflood.api.http.server import Server
from leadflood.api.http.settings import Settings
from leadflood.api.lead_batches import LeadBatches
from leadflood.api.routes import list_routes, make_document
from leadflood.api.routes.docs import ApiDocument
from leadflood.api.services import Services, ServiceSource
from leadflood.engine.obs.event_feed import EventFeed, EventHub
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics

Announce = Callable[[str], Awaitable[None]]


async def serve_api(node: ServiceSource, http: Settings, announce: Announce | None = None) -> None:
    """Serve until cancelled; then stop accepting first, and finish what is being answered.

    `announce` is called with the address. Raises: Conflict (port taken, another master secret).
    """
    async with listening(node, http) as address:
        if announce is not None:
            await announce(address)
        await anyio.sleep_forever()


@asynccontextmanager
async def listening(
    node: ServiceSource, http: Settings, routes: Sequence[Route] | None = None
) -> AsyncIterator[str]:
    """Serve while the block runs, all routes or those given; yield the address."""

    def services() -> Services:
        return node.services

    started = services()
    await started.accounts.start()
    metrics, lag = RouteMetrics(), LoopLag()
    hub = EventHub(EventFeed(started.db))
    batches = LeadBatches(node)
    server = Server(services, http, hub, metrics)
    shared: dict[type, object] = {
        EventHub: hub,
        RouteMetrics: metrics,
        LoopLag: lag,
        LeadBatches: batches,
        ApiDocument: await to_thread.run_sync(make_document),
    }
    async with server.listening(
        list_routes() if routes is None else routes, shared, _background(batches, lag)
    ) as address:
        yield address


@asynccontextmanager
async def _background(batches: LeadBatches, lag: LoopLag) -> AsyncIterator[None]:
    """Batch what concerns leads, and measure how late the loop is."""
    async with batches.running(), anyio.create_task_group() as group:
        group.start_soon(lag.run)
        yield
        group.cancel_scope.cancel()
