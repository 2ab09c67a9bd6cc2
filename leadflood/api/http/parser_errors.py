"""Errors that aiohttp raises before any route runs, answered as problems like all others."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import http_exceptions, web
from typing_extensions import override

from leadflood.api.http.connections import Connections
from leadflood.api.http.problems import HttpRefused

LINE_BYTES = 8_192
HEADER_BYTES = 16_384
MOST_HEADERS = 128
LONGEST_REASON = 200

Refuse = Callable[[web.BaseRequest, BaseException], web.Response]


class Runner(web.AppRunner):
    """Runs an application whose connections answer in our words also where it was not asked."""

    def __init__(
        self, app: web.Application, refuse: Refuse, connections: Connections, **more: Any
    ) -> None:
        limits: dict[str, Any] = {
            "max_line_size": LINE_BYTES,
            "max_field_size": HEADER_BYTES,
            "max_headers": MOST_HEADERS,
            "auto_decompress": False,
        }
        super().__init__(app, access_log=None, **limits, **more)
        self._refuse = refuse
        self._registry = connections

    @override
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self._refuse, self._registry, self._kwargs)


class _Server(web.Server):
    def __init__(
        self,
        server: web.Server,
        refuse: Refuse,
        connections: Connections,
        settings: dict[str, Any],
    ) -> None:
        super().__init__(server.request_handler, request_factory=server.request_factory)
        self._refuse = refuse
        self._registry = connections
        self._settings = settings

    @override
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._refuse, self._registry, loop=self._loop, **self._settings)


class _Connection(web.RequestHandler):
    __slots__ = ("_refuse", "_registry")

    def __init__(
        self, server: web.Server, refuse: Refuse, connections: Connections, **settings: Any
    ) -> None:
        super().__init__(server, **settings)
        self._refuse = refuse
        self._registry = connections

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or end one where there are too many."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._registry.add(self, peer[0] if peer else "")

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the connection's place back."""
        self._registry.remove(self)
        super().connection_lost(exc)

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read as a request."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: there is no other way to end it")
        return self._refuse(request, exc or HttpRefused(HTTPStatus(status), "http.refused", ""))

    @override
    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; what aiohttp refused without asking the door is put in our words."""
        if isinstance(resp, web.HTTPException):
            resp = self._refuse(request, resp)
        return await super().finish_response(request, resp, start_time)


def read_error(error: BaseException) -> HttpRefused | None:
    """Return the refusal of bytes that are no request; None: that is not what is wrong."""
    if isinstance(error, web.RequestPayloadError):
        return _malformed("http.body.broken", "the body is cut or not framed as it says")
    if isinstance(error, http_exceptions.LineTooLong):
        return _url_too_long() if error.args[1] == LINE_BYTES else _headers_too_large()
    if isinstance(error, http_exceptions.HttpProcessingError):
        return _of_parser(error)
    return None


def _of_parser(error: http_exceptions.HttpProcessingError) -> HttpRefused:
    reason = error.message.partition("\n")[0].strip().rstrip(":")
    if "Too many headers" in reason:
        return _headers_too_large()
    if isinstance(error, http_exceptions.PayloadEncodingError):
        return _malformed("http.body.broken", f"the body is not framed as it says: {_show(reason)}")
    return _malformed("http.message.malformed", f"this is no HTTP/1.1 request: {_show(reason)}")


def _url_too_long() -> HttpRefused:
    return HttpRefused(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "http.url.too_long",
        f"the address is longer than {LINE_BYTES} bytes",
    )


def _malformed(code: str, detail: str) -> HttpRefused:
    return HttpRefused(HTTPStatus.BAD_REQUEST, code, detail)


def _headers_too_large() -> HttpRefused:
    return HttpRefused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "http.headers.too_large",
        f"send at most {MOST_HEADERS} headers, none longer than {HEADER_BYTES} bytes",
    )


def _show(reason: str) -> str:
    """Show a parser's words; what the client sent stands in them quoted, so it is cut."""
    printable = "".join(char if char.isprintable() else "?" for char in reason)
    return printable[:LONGEST_REASON] or "it cannot be read"
