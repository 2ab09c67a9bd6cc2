"""CORS: which pages of other sites may call this API (Fetch standard, 3.2)."""

from collections.abc import Mapping

from aiohttp import web

from leadflood.api.http.settings import Settings

REMEMBER_SECONDS = "600"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_MAY_SEND = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent,"
    " X-Request-ID"
)
_MAY_READ = (
    "Content-Disposition, Deprecation, ETag, Link, RateLimit-Limit, RateLimit-Policy,"
    " RateLimit-Remaining, RateLimit-Reset, Retry-After, Sunset, X-Request-ID"
)


def allowed_origin(request: web.BaseRequest, http: Settings) -> str | None:
    """Return the origin of a page that may ask us; None: there is none, or it may not."""
    origin = request.headers.get("Origin")
    return origin if origin in http.cors_origins else None


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks whether it may ask."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def answer_preflight(origin: str) -> web.Response:
    """Return the answer that says what a page may ask for."""
    return web.Response(
        status=204,
        headers={
            **headers_for(origin),
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _MAY_SEND,
            "Access-Control-Max-Age": REMEMBER_SECONDS,
        },
    )


def headers_for(origin: str) -> Mapping[str, str]:
    """Allow a page to read an answer. No cookies: the token is the page's own to send."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _MAY_READ,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Origin",
    }
