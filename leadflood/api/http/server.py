"""The server: routes behind the middlewares, listening on a port, stopped in order."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
from aiohttp import hdrs, web

from leadflood.api.http.answer_rights import find_readers
from leadflood.api.http.authentication import Authenticator
from leadflood.api.http.authorization import Authorizer
from leadflood.api.http.body import JSON, expect_nothing, receive_body, receive_upload, refuse_body
from leadflood.api.http.client_address import Proxies
from leadflood.api.http.connections import BACKLOG, Connections, limits_of
from leadflood.api.http.decoding import decode_query
from leadflood.api.http.endpoint import Endpoint, Parts
from leadflood.api.http.etag import NO_VERSION, is_known, read_if_match, write_etag
from leadflood.api.http.event_views import EventQuery
from leadflood.api.http.middleware import (
    ENVIRONMENT,
    MIDDLEWARES,
    Environment,
    refuse_unread,
    set_headers,
)
from leadflood.api.http.parser_errors import Runner
from leadflood.api.http.platform import Platform
from leadflood.api.http.rate_limit import RateLimiter
from leadflood.api.http.request_context import (
    RESPONSE_HEADERS,
    ROUTE_NAME,
    TIME_LIMIT,
    Caller,
    make_caller,
)
from leadflood.api.http.responses import PartialResponse, RawResponse, Streamed
from leadflood.api.http.routing import Route, list_shadowed
from leadflood.api.http.settings import Settings
from leadflood.api.http.streaming import send_stream
from leadflood.api.http.untrusted_proxies import record_proxies
from leadflood.api.http.websocket import (
    EventStreams,
    StreamLimits,
    is_upgrade,
    require_own_origin,
)
from leadflood.api.http.websocket_tickets import TicketService
from leadflood.domain.auth.schemas.principals import PrincipalKind
from leadflood.engine.errors import Conflict, PreconditionFailed
from leadflood.engine.obs.event_feed import EventHub
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.queue.maintenance.loop import repeat

SHUTDOWN_SECONDS = 10.0
LINGER_SECONDS = 2.0
PROXIES_SECONDS = 5.0
_CONDITIONAL = {"PUT", "PATCH", "DELETE"}


class Server:
    """Serves routes; `services` gives those of the node's present life, `parts` stay the same."""

    def __init__(
        self, services: Callable[[], Platform], http: Settings, hub: EventHub, metrics: RouteMetrics
    ) -> None:
        platform, proxies = services(), Proxies(http.trusted_proxies)
        self._services = services
        self._http = http
        self._hub = hub
        limits = limits_of(http)
        streams = StreamLimits(min(http.streams, limits.in_all // 2), http.streams_per_user)
        self._streams = EventStreams(platform, hub, metrics, streams)
        self._tickets = TicketService(platform)
        self._authorizer = Authorizer(Authenticator(platform, http), RateLimiter(http.rates))
        self._environment = Environment(
            http=http,
            metrics=metrics,
            connections=Connections(http.idle_seconds, limits, proxies, metrics),
            proxies=proxies,
            ids=platform.ids,
            log=log.bind(),
        )

    @asynccontextmanager
    async def listening(
        self, routes: Sequence[Route], parts: Parts, background: AbstractAsyncContextManager[None]
    ) -> AsyncIterator[str]:
        """Serve while the block runs; give the address.

        `background` is what the routes need running: from before the first request until the last
        one is answered. Raises: Conflict when the port is taken.
        """
        runner = Runner(
            self._make_application(routes, parts),
            partial(refuse_unread, self._environment),
            self._environment.connections,
            keepalive_timeout=self._http.idle_seconds,
            lingering_time=LINGER_SECONDS,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        refused: Conflict | None = None
        async with background, _set_up(runner):
            try:
                address = await _listen(runner, self._http)
            except Conflict as error:  # raised outside of the task groups, which would wrap it
                refused = error
            else:
                async with self._watching():
                    yield address
        if refused is not None:
            raise refused

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Feed the listeners and let idle connections go while the block runs."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._hub.run)
            group.start_soon(self._streams.run)
            group.start_soon(self._environment.connections.watch)
            group.start_soon(repeat, PROXIES_SECONDS, self._record_proxies, "proxies")
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _record_proxies(self) -> None:
        platform = self._services()
        requests = self._environment.proxies.untrusted.take()
        await record_proxies(platform.db, requests, platform.clock.now())

    def _make_application(self, routes: Sequence[Route], parts: Parts) -> web.Application:
        """Put the routes behind the middlewares."""

        async def end_streams(_app: web.Application) -> None:
            self._hub.close()

        app = web.Application(client_max_size=self._http.body_bytes, middlewares=MIDDLEWARES)
        app[ENVIRONMENT] = self._environment
        app.on_shutdown.append(end_streams)
        readers_of = find_readers(routes)
        endpoints = [
            Endpoint(route, self._services, parts, readers_of.get(route.name)) for route in routes
        ]
        readers = {each.route.path: each for each in endpoints if each.route.method == "GET"}
        for endpoint in endpoints:
            route = endpoint.route
            handle = self._choose_handler(endpoint, readers.get(route.path))
            for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                app.router.add_route(method, route.path, handle, expect_handler=expect_nothing)
        for method, path, allowed in list_shadowed(routes):
            app.router.add_route(method, path, partial(_refuse_method, allowed))
        return app

    def _choose_handler(
        self, endpoint: Endpoint, reader: Endpoint | None
    ) -> Callable[[web.Request], Any]:
        handler = RouteHandler(endpoint, self._authorizer, self._http, reader)
        if not endpoint.route.streams:
            return handler.handle
        return StreamHandler(handler, self._streams, self._tickets).handle


async def _refuse_method(allowed: Sequence[str], request: web.Request) -> web.StreamResponse:
    raise web.HTTPMethodNotAllowed(request.method, allowed)


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
    site = web.TCPSite(runner, http.host, http.port, backlog=BACKLOG)
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


class RouteHandler:
    """One route as aiohttp calls it; `reader` shows what it changes, where that can be shown."""

    def __init__(
        self, endpoint: Endpoint, authorizer: Authorizer, http: Settings, reader: Endpoint | None
    ) -> None:
        self.route = endpoint.route
        self.name = endpoint.route.name
        self.takes_key = endpoint.route.takes_key
        self.authorizer = authorizer
        self.http = http
        self._endpoint = endpoint
        self._takes_body = endpoint.signature.body is not None
        self._may_be_empty = endpoint.route.may_be_empty(endpoint.signature)
        self._reader = reader
        deprecation = endpoint.route.deprecation
        self._deprecation = {} if deprecation is None else deprecation.headers()

    def begin(self, request: web.Request) -> None:
        """Name the route to logs and metrics, and say in the answer where it is deprecated."""
        request[ROUTE_NAME] = self.name
        if self._deprecation:
            request[RESPONSE_HEADERS].update(self._deprecation)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authorize the request, receive its body, ask the endpoint, write the answer."""
        route = self.route
        self.begin(request)
        query = list(request.query.items())
        principal = await self.authorizer.authorize(request, route)
        if principal.kind is not PrincipalKind.NOBODY:
            request.app[ENVIRONMENT].connections.record_known(request)
        if request.method == hdrs.METH_DELETE and not self._takes_body:
            refuse_body(request)
        body = b""
        if self._takes_body:
            body = await receive_body(request, self.http, may_be_empty=self._may_be_empty)
        upload = await receive_upload(request, route.takes, self.http) if route.takes else None
        caller = make_caller(request, self, principal, body)
        if hdrs.IF_MATCH in request.headers and request.method in _CONDITIONAL:
            caller = await self._with_condition(request, caller)
        answer = await self._endpoint.answer(request.match_info, query, body, caller, upload)
        if isinstance(answer, Streamed):
            return await self._send(request, answer)
        return respond(answer, self._endpoint, request)

    async def _send(self, request: web.Request, answer: Streamed) -> web.StreamResponse:
        """Send an answer piece by piece, for as long as its client takes it."""
        request[TIME_LIMIT].deadline = float("inf")
        return await send_stream(request, answer, partial(set_headers, self.http, request))

    async def _with_condition(self, request: web.Request, caller: Caller) -> Caller:
        """Pass the version that must be the present one to the handler.

        Of several named, it is the present one, if it is among them. Raises: HttpRefused,
        PreconditionFailed.
        """
        versions = read_if_match(request.headers.getall(hdrs.IF_MATCH))
        if versions is None:
            return caller
        if not self.route.takes_if_match:
            raise PreconditionFailed(
                "what this route changes has no versions: leave If-Match out",
                code="http.condition.unknown",
            )
        version = max(versions)
        if len(versions) > 1 and self._reader is not None and self._reader.is_versioned:
            present = await self._reader.answer(request.match_info, [], b"", caller)
            present = present.resource if isinstance(present, PartialResponse) else present
            version = present.version if present.version in versions else NO_VERSION
        return msgspec.structs.replace(caller, if_match=version)


class StreamHandler:
    """A route that can also be a WebSocket."""

    def __init__(
        self, handler: RouteHandler, streams: EventStreams, tickets: TicketService
    ) -> None:
        self._handler = handler
        self._streams = streams
        self._tickets = tickets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Open a stream for a client that asks for one, else answer as any route."""
        handler = self._handler
        if not is_upgrade(request):
            return await handler.handle(request)
        handler.begin(request)
        query: EventQuery = decode_query(list(request.query.items()), EventQuery)
        principal, recheck = await handler.authorizer.authorize_stream(
            request, handler.route, query.ticket, self._tickets
        )
        require_own_origin(request, handler.http)
        request[TIME_LIMIT].deadline = float("inf")
        with request.app[ENVIRONMENT].connections.streaming(request):
            return await self._streams.serve(request, query, principal, recheck)


def respond(answer: Any, endpoint: Endpoint, request: web.Request) -> web.Response:
    """Turn what a handler returned into a response."""
    route = endpoint.route
    if isinstance(answer, RawResponse):
        return _respond_raw(answer)
    if answer is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    is_part = isinstance(answer, PartialResponse)
    body = msgspec.json.encode(answer.fields if is_part else answer)
    if not endpoint.is_versioned:
        return web.Response(body=body, status=route.status.value, content_type=JSON)
    version = answer.resource.version if is_part else answer.version
    etag = write_etag(version, body if route.shows_more else None)
    headers = {hdrs.ETAG: etag}
    if route.method == "GET" and is_known(request.headers.getall(hdrs.IF_NONE_MATCH, []), etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=body, status=route.status.value, headers=headers, content_type=JSON)


def _respond_raw(raw: RawResponse) -> web.Response:
    response = web.Response(body=raw.body, status=raw.status)
    response.headers["Content-Type"] = raw.content_type
    if raw.policy:
        response.headers["Content-Security-Policy"] = raw.policy
    return response
