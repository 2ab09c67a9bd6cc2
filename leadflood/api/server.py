"""The API's server: the routes behind the door, listening."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import anyio
from aiohttp import web
from anyio import to_thread

from leadflood.api.connections import Connections
from leadflood.api.door import JSON, NAME, Door
from leadflood.api.edge import Node
from leadflood.api.events import EventQuery
from leadflood.api.listening import Settings, require_safe_binding
from leadflood.api.route import Endpoint, Route, encode, is_page, read_query
from leadflood.api.stream import is_upgrade, require_own_origin, serve_stream
from leadflood.api.table import make_table
from leadflood.engine.errors import Conflict
from leadflood.engine.obs.feed import Feed, Hub
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics

SHUTDOWN_SECONDS = 10.0
LINGER_SECONDS = 2.0

Tell = Callable[[str], None]


async def serve_api(node: Node, http: Settings, tell: Tell | None = None) -> None:
    """Serve until cancelled; then stops accepting first, and finishes what is being answered.

    `tell` is told the address. Raises: Invalid (reachable without a token), Conflict (port taken).
    """
    async with listening(node, http) as address:
        if tell is not None:
            tell(address)
        await anyio.sleep_forever()


@asynccontextmanager
async def listening(node: Node, http: Settings) -> AsyncIterator[str]:
    """Serve while the block runs; gives the address."""
    require_safe_binding(http)
    metrics, lag = RouteMetrics(), LoopLag()
    storage = node.storage
    keeps_days = node.engine.parts.settings.duties.event_days
    hub = Hub(Feed(storage.db, storage.clock, keeps_days))
    table = await to_thread.run_sync(make_table, node, metrics, lag, hub)
    connections = Connections(http.idle_seconds)
    door = Door(node, http, metrics, connections)
    runner = web.AppRunner(
        make_app(table, door, http, hub),
        access_log=None,
        keepalive_timeout=http.idle_seconds,
        lingering_time=LINGER_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        address = await _listen(runner, http)
        async with anyio.create_task_group() as group:
            group.start_soon(lag.run)
            group.start_soon(hub.run)
            if runner.server is not None:
                group.start_soon(connections.watch, runner.server)
            try:
                yield address
            finally:
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


async def _listen(runner: web.AppRunner, http: Settings) -> str:
    site = web.TCPSite(runner, http.host, http.port)
    try:
        await site.start()
    except OSError as error:
        raise Conflict(
            f"cannot listen on {http.host}:{http.port} ({error.strerror or error}): stop what"
            " listens there, or set http.port (LEADFLOOD_HTTP__PORT)",
            code="http.port.taken",
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_app(table: Sequence[Route], door: Door, http: Settings, hub: Hub) -> web.Application:
    """Put the routes behind the door."""

    async def end_streams(_app: web.Application) -> None:
        hub.close()

    app = web.Application(client_max_size=http.body_bytes, middlewares=[door.pass_through])
    app.on_shutdown.append(end_streams)
    for route in table:
        resource = _Served(Endpoint(route), door, hub)
        if route.method == "GET":
            app.router.add_get(route.path, resource.answer, allow_head=True)
        else:
            app.router.add_route(route.method, route.path, resource.answer)
    return app


class _Served:
    """One endpoint as aiohttp calls it."""

    def __init__(self, endpoint: Endpoint, door: Door, hub: Hub) -> None:
        self._endpoint = endpoint
        self._door = door
        self._hub = hub

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Let the door decide, read the body, ask the endpoint."""
        endpoint = self._endpoint
        request[NAME] = endpoint.route.name
        principal = await self._door.admit(request, endpoint.route)
        query = list(request.query.items())
        if endpoint.route.streams and is_upgrade(request):
            require_own_origin(request, self._door.http)
            return await serve_stream(request, read_query(query, EventQuery), self._hub)
        body = b""
        if endpoint.contract.body is not None:
            body = await self._door.read_body(request)
        caller = self._door.caller_of(request, endpoint.route, principal, body)
        answer = await endpoint.answer(request.match_info, query, body, caller)
        return respond(answer, endpoint.route)


def respond(answer: Any, route: Route) -> web.Response:
    """Turn what a handler returned into a response."""
    if is_page(answer):
        response = web.Response(body=answer.body, status=answer.status)
        response.headers["Content-Type"] = answer.content_type
        if answer.policy:
            response.headers["Content-Security-Policy"] = answer.policy
        return response
    if answer is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    return web.Response(body=encode(answer), status=route.status.value, content_type=JSON)
