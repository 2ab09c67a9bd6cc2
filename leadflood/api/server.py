"""The API's server: the routes behind the door, listening."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
from aiohttp import hdrs, web
from anyio import to_thread

from leadflood.api.conditions import NO_VERSION, is_known, read_if_match, write_etag
from leadflood.api.connections import Connections
from leadflood.api.door import JSON, NAME, Door, expect_nothing
from leadflood.api.edge import Caller, Node, Stream
from leadflood.api.events import EventQuery
from leadflood.api.icp import Icps
from leadflood.api.lead_desk import LeadDesk
from leadflood.api.listening import Settings
from leadflood.api.protocol import Runner
from leadflood.api.route import Endpoint, Part, Route, encode, is_page, read_query
from leadflood.api.stream import Streams, is_upgrade, require_own_origin
from leadflood.api.table import make_table
from leadflood.engine.errors import Conflict, PreconditionFailed
from leadflood.engine.obs.event_feed import EventFeed, EventHub
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics

SHUTDOWN_SECONDS = 10.0
LINGER_SECONDS = 2.0

Tell = Callable[[str], Awaitable[None]]


async def serve_api(node: Node, http: Settings, tell: Tell | None = None) -> None:
    """Serve until cancelled; then stops accepting first, and finishes what is being answered.

    `tell` is told the address. Raises: Conflict (port taken, another master secret).
    """
    async with listening(node, http) as address:
        if tell is not None:
            await tell(address)
        await anyio.sleep_forever()


@asynccontextmanager
async def listening(
    node: Node, http: Settings, routes: Sequence[Route] | None = None
) -> AsyncIterator[str]:
    """Serve while the block runs, all routes or those given; gives the address."""
    await node.storage.accounts.start()
    metrics, lag = RouteMetrics(), LoopLag()
    storage = node.storage
    keeps_days = node.engine.parts.settings.maintenance.event_days
    hub = EventHub(EventFeed(storage.db, storage.clock, keeps_days))
    desk = LeadDesk(node, Icps(node))
    table = await to_thread.run_sync(make_table, node, metrics, lag, hub, desk)
    connections = Connections(http.idle_seconds)
    door = Door(node, http, metrics, connections)
    streams = Streams(node, hub, metrics)
    runner = Runner(
        make_app(table if routes is None else routes, door, streams, hub),
        door.refuse_unread,
        keepalive_timeout=http.idle_seconds,
        lingering_time=LINGER_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    taken: Conflict | None = None
    async with desk.running(), _set_up(runner):
        try:
            address = await _listen(runner, http)
        except Conflict as error:  # told outside of the task groups, which would wrap it
            taken = error
        else:
            async with anyio.create_task_group() as group:
                for part in (lag, hub, streams):
                    group.start_soon(part.run)
                if runner.server is not None:
                    group.start_soon(connections.watch, runner.server)
                try:
                    yield address
                finally:
                    group.cancel_scope.cancel()
    if taken is not None:
        raise taken


@asynccontextmanager
async def _set_up(runner: web.AppRunner) -> AsyncIterator[None]:
    """Have a server while the block runs; at its end what is being answered is finished."""
    await runner.setup()
    try:
        yield
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


def make_app(
    table: Sequence[Route], door: Door, streams: Streams, hub: EventHub
) -> web.Application:
    """Put the routes behind the door."""

    async def end_streams(_app: web.Application) -> None:
        hub.close()

    app = web.Application(client_max_size=door.http.body_bytes, middlewares=[door.pass_through])
    app.on_shutdown.append(end_streams)
    endpoints = [Endpoint(route) for route in table]
    shown = {one.route.path: one for one in endpoints if one.route.method == "GET"}
    for endpoint in endpoints:
        route = endpoint.route
        resource = _Served(endpoint, door, streams, shown.get(route.path))
        methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        for method in methods:
            app.router.add_route(method, route.path, resource.answer, expect_handler=expect_nothing)
    return app


class _Served:
    """One endpoint as aiohttp calls it; `shown` shows what it changes, where that can be shown."""

    def __init__(
        self, endpoint: Endpoint, door: Door, streams: Streams, shown: Endpoint | None
    ) -> None:
        self._endpoint = endpoint
        self._door = door
        self._streams = streams
        self._shown = shown
        retirement = endpoint.route.retirement
        self._headers = {} if retirement is None else retirement.headers()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Let the door decide, read the body, ask the endpoint."""
        endpoint = self._endpoint
        request[NAME] = endpoint.route.name
        if self._headers:
            self._door.add_headers(request, self._headers)
        query = list(request.query.items())
        if endpoint.route.streams and is_upgrade(request):
            return await self._stream(request, read_query(query, EventQuery))
        principal = await self._door.admit(request, endpoint.route)
        body = b""
        if endpoint.contract.body is not None:
            body = await self._door.read_body(request)
        upload = None
        if endpoint.route.takes:
            upload = await self._door.open_upload(request, endpoint.route)
        caller = self._door.caller_of(request, endpoint.route, principal, body)
        if hdrs.IF_MATCH in request.headers and request.method in _CHANGING:
            caller = await self._with_condition(request, caller)
        answer = await endpoint.answer(request.match_info, query, body, caller, upload)
        if isinstance(answer, Stream):
            return await self._door.send(request, answer)
        return respond(answer, endpoint, request)

    async def _stream(self, request: web.Request, query: EventQuery) -> web.StreamResponse:
        """Let the door decide, for as long as the stream goes on."""
        principal, recheck = await self._door.admit_stream(
            request, self._endpoint.route, query.ticket
        )
        require_own_origin(request, self._door.http)
        self._door.let_stream(request)
        return await self._streams.serve(request, query, principal, recheck)

    async def _with_condition(self, request: web.Request, caller: Caller) -> Caller:
        """Tell the handler which version must be the present one.

        Of several named, it is the present one, if it is among them. Raises: HttpRefused,
        PreconditionFailed.
        """
        versions = read_if_match(request.headers.getall(hdrs.IF_MATCH))
        if versions is None:
            return caller
        if not self._endpoint.route.takes_if_match:
            raise PreconditionFailed(
                "what this route changes has no versions: leave If-Match out",
                code="http.condition.unknown",
            )
        meant = max(versions)
        if len(versions) > 1 and self._shown is not None and self._shown.is_versioned:
            present = await self._shown.answer(request.match_info, [], b"", caller)
            meant = present.version if present.version in versions else NO_VERSION
        return msgspec.structs.replace(caller, if_match=meant)


_CHANGING = {"PUT", "PATCH", "DELETE"}


def respond(answer: Any, endpoint: Endpoint, request: web.Request) -> web.Response:
    """Turn what a handler returned into a response."""
    route = endpoint.route
    if is_page(answer):
        response = web.Response(body=answer.body, status=answer.status)
        response.headers["Content-Type"] = answer.content_type
        if answer.policy:
            response.headers["Content-Security-Policy"] = answer.policy
        return response
    if answer is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    whole, shown = (answer.whole, answer.shown) if isinstance(answer, Part) else (answer, answer)
    body = encode(shown)
    if not endpoint.is_versioned:
        return web.Response(body=body, status=route.status.value, content_type=JSON)
    etag = write_etag(whole.version, body if route.shows_more else None)
    headers = {hdrs.ETAG: etag}
    if route.method == "GET" and is_known(request.headers.getall(hdrs.IF_NONE_MATCH, []), etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=body, status=route.status.value, headers=headers, content_type=JSON)
