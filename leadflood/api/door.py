"""The door: what holds for every request, whatever it asks for."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus

import anyio
import msgspec
import structlog
from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict

from leadflood.api.access import Access
from leadflood.api.connections import Connections
from leadflood.api.cors import allowed_origin, answer_preflight, headers_for, is_preflight
from leadflood.api.downloads import send_stream
from leadflood.api.edge import NOBODY, Caller, Node, Stream
from leadflood.api.idempotency import MOST_CHARS
from leadflood.api.listening import Settings
from leadflood.api.problems import CONTENT_TYPE, HttpRefused, refusal_of
from leadflood.api.protocol import read_error
from leadflood.api.proxies import ORIGIN, Proxies
from leadflood.api.rates import Rates, Standing, TooSoon, tightest
from leadflood.api.route import Route
from leadflood.api.tickets import Tickets
from leadflood.api.uploads import Limits, Upload, open_upload
from leadflood.domain.auth.schemas import Principal
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Denied, FieldProblem, Transient
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.obs.tracing import CURRENT_SPAN, Active, read_traceparent, spanned

REQUEST_ID = "X-Request-ID"
TRACE = "traceparent"
JSON = "application/json"
NAME = web.RequestKey("name", str)
_ID = web.RequestKey("id", str)
_SCOPE = web.RequestKey("scope", anyio.CancelScope)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_MORE = web.RequestKey("more", dict[str, str])
"""Headers that an answer gets besides, whether it is a good one or not."""
_SAFE_HEADERS = CIMultiDict(
    {
        "Server": "leadflood",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Permitted-Cross-Domain-Policies": "none",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
_STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'"
_KEEP_SECURE = "max-age=31536000"
_CONTINUE = "100-continue"
EARLY = "auth"
"""The class of routes that are limited by address before anything is looked at."""
_UNENCODED = {"", "identity"}
MOST_AGENT_CHARS = 300

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """What holds for every request: its id, who may pass, how long it may take, how it ends."""

    def __init__(
        self, node: Node, http: Settings, metrics: RouteMetrics, connections: Connections
    ) -> None:
        self._node = node
        self._connections = connections
        self.http = http
        self._metrics = metrics
        self._access = Access(node, http)
        self._log = log.bind()
        self._tickets = Tickets(node)
        self._proxies = Proxies(http.trusted_proxies)
        self._rates = Rates(http.rates)

    @web.middleware
    async def pass_through(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes a problem document."""
        if not Active.tracer.is_on:
            return await self._answer(request, handler)
        with spanned("request", "server", read_traceparent(request.headers.get(TRACE, ""))) as span:
            response = await self._answer(request, handler)
            fields: dict[str, str | int] = {"request.id": request[_ID]}
            fields["http.response.status_code"] = response.status
            span.rename(request.get(NAME, "unknown"), **fields)
        return response

    async def _answer(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        began = REAL_TIME.monotonic()
        request_id = self._enter(request)
        self._metrics.open += 1
        # aiohttp answers each request in a task of its own, so nothing need be unbound
        structlog.contextvars.bind_contextvars(requestId=request_id)
        with self._connections.answering(request):
            try:
                response = await self._within_time(request, handler)
            except Exception as error:  # noqa: BLE001 - the edge is where errors become answers
                response = self._refuse(error, request_id)
            finally:
                self._metrics.open -= 1
            self._finish(request, response, REAL_TIME.monotonic() - began)
        return response

    def refuse_unread(self, request: web.BaseRequest, error: BaseException) -> web.Response:
        """Answer what never became a request to a route; the connection ends with it."""
        request_id = self._enter(request)
        response = self._refuse(error, request_id)
        response.force_close()
        request[NAME] = "unreadable"
        self._finish(request, response, 0.0)
        return response

    def _enter(self, request: web.BaseRequest) -> str:
        request_id = self._request_id(request)
        request[_ID] = request_id
        request[ORIGIN] = self._proxies.origin_of(request)
        request[_MORE] = {}
        return request_id

    async def _within_time(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        origin = allowed_origin(request, self.http)
        if origin is not None and is_preflight(request):
            return answer_preflight(origin)
        with anyio.move_on_after(self.http.request_seconds) as scope:
            request[_SCOPE] = scope
            return await handler(request)
        raise Transient(
            f"no answer was ready after {self.http.request_seconds:g} s", code="http.timeout"
        )

    def let_stream(self, request: web.Request) -> None:
        """Let an answer take as long as its client listens."""
        request[_SCOPE].deadline = float("inf")

    def _request_id(self, request: web.BaseRequest) -> str:
        given = request.headers.get(REQUEST_ID, "")
        return given if _REQUEST_ID.fullmatch(given) else str(self._node.storage.ids.new())

    def _refuse(self, error: BaseException, request_id: str) -> web.Response:
        if isinstance(error, web.HTTPException):
            error = _of_aiohttp(error, self.http)
        refusal = refusal_of(read_error(error) or error, request_id)
        if isinstance(error, TooSoon):
            refusal.headers.update(error.standing.headers())
        response = web.Response(
            body=msgspec.json.encode(refusal.problem),
            status=refusal.problem.status,
            headers=refusal.headers,
            content_type=CONTENT_TYPE,
        )
        if refusal.problem.status in _UNREAD:
            response.force_close()
        return response

    async def send(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        """Send an answer piece by piece, for as long as its client takes it."""
        self.let_stream(request)
        return await send_stream(request, stream, partial(self._dress, request))

    def _finish(
        self, request: web.BaseRequest, response: web.StreamResponse, seconds: float
    ) -> None:
        if not response.prepared:
            self._dress(request, response)
        name = request.get(NAME, "unknown")
        self._metrics.answered(name, response.status, seconds)
        self._log.debug(
            "http.request.answered", route=name, status=response.status, ms=round(seconds * 1000, 2)
        )

    def _dress(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.update(_SAFE_HEADERS)
        headers.setdefault("Content-Security-Policy", _STRICT_POLICY)
        headers[REQUEST_ID] = request[_ID]
        if request[ORIGIN].is_secure:
            headers["Strict-Transport-Security"] = _KEEP_SECURE
        if more := request[_MORE]:
            headers.update(more)
        if (origin := allowed_origin(request, self.http)) is not None:
            headers.update(headers_for(origin))

    async def admit(self, request: web.Request, route: Route) -> Principal:
        """Tell who asks, if he may. Raises: Unauthenticated, Denied, HttpRefused, Throttled."""
        address = request[ORIGIN].address
        if route.is_open:
            self._note(request, [self._rates.ask_by_address(route.rate, address)])
            return NOBODY
        standings: list[Standing | None] = []

        def ask_by_address() -> None:
            if not standings:
                standings.append(self._rates.ask_by_address(route.rate, address))

        if route.rate == EARLY:
            ask_by_address()
        principal = await self._access.principal_of(request, ask_by_address)
        if not self._rates.is_free(principal):
            ask_by_address()
            standings.append(self._rates.ask_by_caller(route.rate, principal))
        self._note(request, standings)
        if route.permission not in principal.permissions:
            raise Denied(
                f"{route.name} needs the permission {route.permission}", code="http.denied"
            )
        return principal

    async def admit_stream(
        self, request: web.Request, route: Route, ticket: str
    ) -> tuple[Principal, Callable[[], Awaitable[Principal]]]:
        """Tell who wants to listen, if he may, and how to ask again whether he still may."""
        if not ticket:
            principal = await self.admit(request, route)
            return principal, lambda: self._access.principal_of(request)
        address = request[ORIGIN].address
        self._note(request, [self._rates.ask_by_address(route.rate, address)])
        holder = await self._tickets.take(ticket)
        return holder.principal, lambda: self._tickets.find_again(holder)

    def _note(self, request: web.Request, standings: list[Standing | None]) -> None:
        """Tell the caller where he stands, whatever the answer becomes."""
        if (standing := tightest(standings)) is not None:
            request[_MORE].update(standing.headers())

    def add_headers(self, request: web.Request, headers: Mapping[str, str]) -> None:
        """Give the answer headers, whatever it becomes."""
        request[_MORE].update(headers)

    async def read_body(self, request: web.Request) -> bytes:
        """Read a JSON body, no longer than allowed and in time. Raises: HttpRefused."""
        self._require_unencoded(request)
        if request.content_type != JSON or request.headers.getall("Content-Type", []) == []:
            raise HttpRefused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "http.body.not_json",
                f"the body must be JSON: send Content-Type: {JSON}",
            )
        if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
            raise HttpRefused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "http.body.charset", "the body must be UTF-8"
            )
        if (request.content_length or 0) > self.http.body_bytes:
            raise _too_large(self.http)
        with anyio.move_on_after(self.http.read_seconds):
            await go_on(request)
            return await request.read()
        raise HttpRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            "http.body.slow",
            f"the body did not arrive within {self.http.read_seconds:g} s",
        )

    def _require_unencoded(self, request: web.Request) -> None:
        """Refuse what would have to be unpacked: a small body may unpack to any size."""
        if request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower() not in _UNENCODED:
            raise HttpRefused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "http.body.encoded",
                "the body must not be compressed: leave Content-Encoding out",
                headers={"Accept-Encoding": "identity"},
            )

    async def open_upload(self, request: web.Request, route: Route) -> Upload:
        """Make ready to read a file, which may take longer. Raises: HttpRefused."""
        self._require_unencoded(request)
        limits = Limits(self.http.import_bytes, self.http.read_seconds)
        upload = open_upload(request, route.takes, limits)
        request[_SCOPE].deadline = anyio.current_time() + self.http.import_seconds
        await go_on(request)
        return upload

    def caller_of(
        self, request: web.Request, route: Route, principal: Principal, body: bytes
    ) -> Caller:
        """Tell the handler who asks. Raises: HttpRefused for an unusable Idempotency-Key."""
        key = request.headers.get("Idempotency-Key", "") if route.takes_key else ""
        if len(key) > MOST_CHARS or not key.isprintable():
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "http.idempotency.invalid",
                f"Idempotency-Key: take at most {MOST_CHARS} printable characters",
                (FieldProblem("Idempotency-Key", "is too long or not printable"),),
            )
        return Caller(
            request_id=request[_ID],
            trace_parent=CURRENT_SPAN.get() or None,
            principal=principal,
            address=request[ORIGIN].address,
            user_agent=request.headers.get(hdrs.USER_AGENT, "")[:MOST_AGENT_CHARS],
            idempotency_key=key,
            body_hash=_hash(request, body) if key else b"",
            route=route.name,
        )


async def expect_nothing(request: web.Request) -> None:
    """Leave `Expect: 100-continue` to who reads the body: a refusal spares the client sending it.

    Raises: HTTPExpectationFailed for anything else.
    """
    if request.headers[hdrs.EXPECT].lower() != _CONTINUE:
        raise web.HTTPExpectationFailed(text=f"the only Expect understood is {_CONTINUE}")


async def go_on(request: web.Request) -> None:
    """Tell a client that waits for it to send its body."""
    if hdrs.EXPECT in request.headers and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _hash(request: web.Request, body: bytes) -> bytes:
    return hashlib.sha256(f"{request.path_qs}\n".encode() + body).digest()


_UNREAD = {
    HTTPStatus.REQUEST_TIMEOUT.value,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
}
"""After these the rest of the body may still be under way: the connection is closed."""


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
    return HttpRefused(status, "http.refused", error.text or error.reason)
