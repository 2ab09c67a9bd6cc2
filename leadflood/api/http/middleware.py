"""Middleware: what holds for every request, whatever it asks for, one function each.

`MIDDLEWARES` is the chain, from the outermost to the innermost.
"""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import anyio
import msgspec
import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from multidict import CIMultiDict
from structlog.typing import FilteringBoundLogger

from leadflood.api.http.body import too_large
from leadflood.api.http.client_address import ORIGIN, Proxies
from leadflood.api.http.connections import Connections
from leadflood.api.http.cors import allowed_origin, answer_preflight, headers_for, is_preflight
from leadflood.api.http.parser_errors import read_error
from leadflood.api.http.problems import CONTENT_TYPE, HttpRefused, refusal_of
from leadflood.api.http.rate_limit import RateLimited
from leadflood.api.http.request_context import REQUEST_ID, RESPONSE_HEADERS, ROUTE_NAME, TIME_LIMIT
from leadflood.api.http.settings import Settings
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Transient
from leadflood.engine.ids import Ids
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.obs.tracing import ActiveTracer, read_traceparent, spanned

ID_HEADER = "X-Request-ID"
TRACE_HEADER = "traceparent"
NO_ROUTE = "unknown"
UNREADABLE = "unreadable"
ORIGIN_HEADER = "Origin"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
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
_UNREAD = {
    HTTPStatus.REQUEST_TIMEOUT.value,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
}
"""After these the rest of the body may still be under way: the connection is closed."""

_VERSIONS = {HttpVersion10, HttpVersion11}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """State that the middlewares of one server share.

    - `http`: the settings of the edge.
    - `metrics`, `connections`: the requests under way and how they ended.
    - `proxies`: who is trusted to name a client's address.
    - `ids`: makes request ids.
    - `log`: bound when the server is built; before logs are configured, it would know no level.
    """

    http: Settings
    metrics: RouteMetrics
    connections: Connections
    proxies: Proxies
    ids: Ids
    log: FilteringBoundLogger


ENVIRONMENT: Final = web.AppKey("environment", Environment)


@web.middleware
async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the request in a span, where traces are written."""
    if not ActiveTracer.tracer.is_on:
        return await handler(request)
    parent = read_traceparent(request.headers.get(TRACE_HEADER, ""))
    with spanned("request", "server", parent) as span:
        response = await handler(request)
        fields: dict[str, str | int] = {"request.id": request[REQUEST_ID]}
        fields["http.response.status_code"] = response.status
        span.rename(request.get(ROUTE_NAME, NO_ROUTE), **fields)
    return response


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the request's id, for answers and logs, and the address it comes from."""
    request_id = _identify(request.app[ENVIRONMENT], request)
    # aiohttp answers each request in a task of its own, so nothing need be unbound
    structlog.contextvars.bind_contextvars(requestId=request_id)
    return await handler(request)


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request and its time, and mark its connection as answered."""
    environment = request.app[ENVIRONMENT]
    started = REAL_TIME.monotonic()
    environment.metrics.open += 1
    with environment.connections.answering(request):
        try:
            response = await handler(request)
        finally:
            environment.metrics.open -= 1
    _measure(environment, request, response, REAL_TIME.monotonic() - started)
    return response


@web.middleware
async def add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the headers that every answer has; one that is streamed got them when it began."""
    response = await handler(request)
    if not response.prepared:
        set_headers(request.app[ENVIRONMENT].http, request, response)
    return response


@web.middleware
async def handle_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem document."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - the edge is where errors become answers
        return _refuse(request.app[ENVIRONMENT].http, request, error)


@web.middleware
async def allow_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a browser that asks whether a page of a named site may ask."""
    if ORIGIN_HEADER in request.headers and is_preflight(request):
        origin = allowed_origin(request, request.app[ENVIRONMENT].http)
        if origin is not None:
            return answer_preflight(origin)
    return await handler(request)


@web.middleware
async def limit_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """End a request that takes too long; uploads and streams move its limit.

    Raises: Transient.
    """
    seconds = request.app[ENVIRONMENT].http.request_seconds
    with anyio.move_on_after(seconds) as scope:
        request[TIME_LIMIT] = scope
        return await handler(request)
    raise Transient(f"no answer was ready after {seconds:g} s", code="http.timeout")


@web.middleware
async def require_version(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse versions of HTTP that nobody speaks. Raises: HttpRefused."""
    if request.version not in _VERSIONS:
        raise HttpRefused(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
            "http.version.refused",
            "speak HTTP/1.1 or HTTP/1.0 here",
        )
    return await handler(request)


MIDDLEWARES = (
    trace,
    identify,
    measure,
    add_headers,
    handle_errors,
    require_version,
    allow_origins,
    limit_time,
)


def refuse_unread(
    environment: Environment, request: web.BaseRequest, error: BaseException
) -> web.Response:
    """Answer what never became a request to a route; the connection ends with it."""
    _identify(environment, request)
    request[ROUTE_NAME] = UNREADABLE
    response = _refuse(environment.http, request, error)
    response.force_close()
    set_headers(environment.http, request, response)
    _measure(environment, request, response, 0.0)
    return response


def set_headers(http: Settings, request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers that every answer has."""
    headers = response.headers
    headers.update(_SAFE_HEADERS)
    headers.setdefault("Content-Security-Policy", _STRICT_POLICY)
    headers[ID_HEADER] = request[REQUEST_ID]
    if request[ORIGIN].is_secure:
        headers["Strict-Transport-Security"] = _KEEP_SECURE
    if more := request[RESPONSE_HEADERS]:
        headers.update(more)
    if ORIGIN_HEADER in request.headers:
        origin = allowed_origin(request, http)
        headers.update({} if origin is None else headers_for(origin))


def _identify(environment: Environment, request: web.BaseRequest) -> str:
    sent = request.headers.get(ID_HEADER, "")
    request_id = sent if _REQUEST_ID.fullmatch(sent) else str(environment.ids.new())
    request[REQUEST_ID] = request_id
    request[ORIGIN] = environment.proxies.origin_of(request)
    request[RESPONSE_HEADERS] = {}
    return request_id


def _measure(
    environment: Environment,
    request: web.BaseRequest,
    response: web.StreamResponse,
    seconds: float,
) -> None:
    name = request.get(ROUTE_NAME, NO_ROUTE)
    environment.metrics.answered(name, response.status, seconds)
    environment.log.debug(
        "http.request.answered", route=name, status=response.status, ms=round(seconds * 1000, 2)
    )


def _refuse(http: Settings, request: web.BaseRequest, error: BaseException) -> web.Response:
    if isinstance(error, web.HTTPException):
        error = _translate(error, http)
    refusal = refusal_of(read_error(error) or error, request[REQUEST_ID])
    if isinstance(error, RateLimited):
        refusal.headers.update(error.quota.headers())
    response = web.Response(
        body=msgspec.json.encode(refusal.problem),
        status=refusal.problem.status,
        headers=refusal.headers,
        content_type=CONTENT_TYPE,
    )
    if refusal.problem.status in _UNREAD:
        response.force_close()
    return response


def _translate(error: web.HTTPException, http: Settings) -> HttpRefused:
    """Return the refusal, in our words, of what aiohttp refuses by itself."""
    status = HTTPStatus(error.status)
    if status is HTTPStatus.NOT_FOUND:
        return HttpRefused(
            status, "http.not_found", "there is no such route: /openapi.json lists all"
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return HttpRefused(
            status,
            "http.method.refused",
            f"{error.method} is not for this route: {allowed}",
            headers={"Allow": allowed},
        )
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return too_large(http)
    return HttpRefused(status, "http.refused", error.text or error.reason)
