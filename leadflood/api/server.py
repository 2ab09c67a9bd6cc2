"""The API's server: every request in and out, once for all routes."""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
import structlog
from aiohttp import web
from anyio import to_thread

from leadflood.api.attempts import Attempts
from leadflood.api.connections import Connections
from leadflood.api.cors import allowed_origin, answer_preflight, headers_for, is_preflight
from leadflood.api.edge import Caller, Node
from leadflood.api.events import EventQuery
from leadflood.api.idempotency import MOST_CHARS
from leadflood.api.listening import LOOPBACK_NAMES, Settings, name_in, require_safe_binding
from leadflood.api.problems import CONTENT_TYPE, HttpRefused, refusal_of
from leadflood.api.route import Endpoint, Route, encode, is_page, read_query
from leadflood.api.stream import is_upgrade, require_own_origin, serve_stream
from leadflood.api.table import make_table
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Conflict, FieldProblem, Transient, Unauthenticated
from leadflood.engine.obs.feed import Feed, Hub
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics

REQUEST_ID = "X-Request-ID"
SHUTDOWN_SECONDS = 10.0
LINGER_SECONDS = 2.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_SAFE_HEADERS = {
    "Server": "leadflood",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'"
_NAME = web.RequestKey("name", str)
_ID = web.RequestKey("id", str)
_JSON = "application/json"

Tell = Callable[[str], None]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


def make_app(table: Sequence[Route], door: "Door", http: Settings, hub: Hub) -> web.Application:
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

    def __init__(self, endpoint: Endpoint, door: "Door", hub: Hub) -> None:
        self._endpoint = endpoint
        self._door = door
        self._hub = hub

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Let the door decide, read the body, ask the endpoint."""
        endpoint = self._endpoint
        request[_NAME] = endpoint.route.name
        self._door.admit(request, endpoint.route)
        query = list(request.query.items())
        if endpoint.route.streams and is_upgrade(request):
            require_own_origin(request, self._door.http)
            return await serve_stream(request, read_query(query, EventQuery), self._hub)
        body = b""
        if endpoint.contract.body is not None:
            body = await self._door.read_body(request)
        caller = self._door.caller_of(request, endpoint.route, body)
        answer = await endpoint.answer(request.match_info, query, body, caller)
        return respond(answer, endpoint.route)


class Door:
    """What holds for every request: its id, who may pass, how long it may take, how it ends."""

    def __init__(
        self, node: Node, http: Settings, metrics: RouteMetrics, connections: Connections
    ) -> None:
        self._node = node
        self._connections = connections
        self.http = http
        self._metrics = metrics
        self._token = http.token.encode()
        self._attempts = Attempts()

    @web.middleware
    async def pass_through(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes a problem document."""
        began = REAL_TIME.monotonic()
        request_id = self._request_id(request)
        request[_ID] = request_id
        self._metrics.open += 1
        with (
            structlog.contextvars.bound_contextvars(requestId=request_id),
            self._connections.answering(request),
        ):
            try:
                response = await self._within_time(request, handler)
            except Exception as error:  # noqa: BLE001 - the edge is where errors become answers
                response = self._refuse(error, request_id)
            finally:
                self._metrics.open -= 1
            self._finish(request, response, REAL_TIME.monotonic() - began)
        return response

    async def _within_time(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        origin = allowed_origin(request, self.http)
        if origin is not None and is_preflight(request):
            return answer_preflight(origin)
        if is_upgrade(request):
            return await handler(request)
        with anyio.move_on_after(self.http.request_seconds):
            return await handler(request)
        raise Transient(
            f"no answer was ready after {self.http.request_seconds:g} s", code="http.timeout"
        )

    def _request_id(self, request: web.Request) -> str:
        given = request.headers.get(REQUEST_ID, "")
        return given if _REQUEST_ID.fullmatch(given) else str(self._node.storage.ids.new())

    def _refuse(self, error: Exception, request_id: str) -> web.Response:
        if isinstance(error, web.HTTPException):
            error = _of_aiohttp(error, self.http)
        refusal = refusal_of(error, request_id)
        response = web.Response(
            body=msgspec.json.encode(refusal.problem),
            status=refusal.problem.status,
            headers=refusal.headers,
            content_type=CONTENT_TYPE,
        )
        if refusal.problem.status in _UNREAD:
            response.force_close()
        return response

    def _finish(self, request: web.Request, response: web.StreamResponse, seconds: float) -> None:
        name = request.get(_NAME, "unknown")
        for header, value in _SAFE_HEADERS.items():
            response.headers[header] = value
        response.headers.setdefault("Content-Security-Policy", _STRICT_POLICY)
        response.headers[REQUEST_ID] = request[_ID]
        if (origin := allowed_origin(request, self.http)) is not None:
            response.headers.update(headers_for(origin))
        self._metrics.answered(name, response.status, seconds)
        log.debug(
            "http.request.answered", route=name, status=response.status, ms=round(seconds * 1000, 2)
        )

    def admit(self, request: web.Request, route: Route) -> None:
        """Let in who may: with the token where one is set, else by a local name only.

        The name is asked because a page in a browser here may point its own name at 127.0.0.1.
        Raises: Unauthenticated, HttpRefused.
        """
        if route.is_open:
            return
        if self._token:
            self._check_token(request)
        elif name_in(request.host) not in LOOPBACK_NAMES:
            raise HttpRefused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "http.host.refused",
                "without http.token the API answers to localhost and 127.0.0.1 only",
            )

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        right = hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not right:
            self._attempts.note_wrong(request.remote or "")
            raise Unauthenticated(
                "the Authorization header is missing or wrong: send it once, as"
                " 'Authorization: Bearer <http.token>'",
                code="http.token.refused",
            )

    async def read_body(self, request: web.Request) -> bytes:
        """Read a JSON body, no longer than allowed and in time. Raises: HttpRefused."""
        if request.content_type != _JSON or request.headers.getall("Content-Type", []) == []:
            raise HttpRefused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "http.body.not_json",
                f"the body must be JSON: send Content-Type: {_JSON}",
            )
        if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
            raise HttpRefused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "http.body.charset", "the body must be UTF-8"
            )
        if (request.content_length or 0) > self.http.body_bytes:
            raise _too_large(self.http)
        with anyio.move_on_after(self.http.read_seconds):
            return await request.read()
        raise HttpRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            "http.body.slow",
            f"the body did not arrive within {self.http.read_seconds:g} s",
        )

    def caller_of(self, request: web.Request, route: Route, body: bytes) -> Caller:
        """Tell the handler who asks. Raises: HttpRefused for an unusable Idempotency-Key."""
        key = request.headers.get("Idempotency-Key", "") if route.is_idempotent else ""
        if len(key) > MOST_CHARS or not key.isprintable():
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "http.idempotency.invalid",
                f"Idempotency-Key: take at most {MOST_CHARS} printable characters",
                (FieldProblem("Idempotency-Key", "is too long or not printable"),),
            )
        return Caller(
            request_id=request[_ID],
            idempotency_key=key,
            body_hash=hashlib.sha256(body).digest() if key else b"",
            route=route.name,
        )


_UNREAD = {
    HTTPStatus.REQUEST_TIMEOUT.value,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
}
"""After these the rest of the body may still be under way: the connection is closed."""


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
    return web.Response(body=encode(answer), status=route.status.value, content_type=_JSON)


def _too_large(http: Settings) -> HttpRefused:
    return HttpRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "http.body.too_large",
        f"the body is longer than {http.body_bytes} bytes (http.body_bytes)",
    )


def _of_aiohttp(error: web.HTTPException, http: Settings) -> HttpRefused:
    """Say in our words what aiohttp refuses by itself."""
    status = HTTPStatus(error.status)
    if status is HTTPStatus.NOT_FOUND:
        return HttpRefused(
            status, "http.not_found", "there is no such route: /openapi.json lists all"
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return HttpRefused(
            status, "http.method.refused", f"{error.method} is not for this route: {allowed}",
            headers={"Allow": allowed},
        )  # fmt: skip
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _too_large(http)
    return HttpRefused(status, "http.refused", error.reason)
