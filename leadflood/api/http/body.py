"""Bodies: received no longer than allowed and in time, never unpacked."""

from http import HTTPStatus

import anyio
from aiohttp import HttpVersion11, hdrs, web

from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import TIME_LIMIT
from leadflood.api.http.settings import Settings
from leadflood.api.http.uploads import Limits, Upload, open_upload, refusing_cut_bodies

JSON = "application/json"
EMPTY = b"{}"
_CONTINUE = "100-continue"
_UNENCODED = {"", "identity"}


async def receive_body(request: web.Request, http: Settings, *, may_be_empty: bool) -> bytes:
    """Receive a JSON body; none is an empty object where that is enough. Raises: HttpRefused."""
    if may_be_empty and not request.body_exists:
        return EMPTY
    _require_unencoded(request)
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
    if (request.content_length or 0) > http.body_bytes:
        raise too_large(http)
    with anyio.move_on_after(http.read_seconds), refusing_cut_bodies(request):
        await _continue(request)
        return await request.read() or (EMPTY if may_be_empty else b"")
    raise HttpRefused(
        HTTPStatus.REQUEST_TIMEOUT,
        "http.body.slow",
        f"the body did not arrive within {http.read_seconds:g} s",
    )


async def receive_upload(request: web.Request, takes: tuple[str, ...], http: Settings) -> Upload:
    """Prepare to read a file, which may take longer. Raises: HttpRefused."""
    _require_unencoded(request)
    upload = open_upload(request, takes, Limits(http.import_bytes, http.read_seconds))
    request[TIME_LIMIT].deadline = anyio.current_time() + http.import_seconds
    with refusing_cut_bodies(request):
        await _continue(request)
    return upload


def refuse_body(request: web.Request) -> None:
    """Refuse a body that nothing would read. Raises: HttpRefused."""
    if request.body_exists:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "http.body.unexpected",
            "this DELETE takes no body: what it takes stands behind the question mark of the URL",
        )


def too_large(http: Settings) -> HttpRefused:
    """Return the refusal of a body that is too long."""
    return HttpRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "http.body.too_large",
        f"the body is longer than {http.body_bytes} bytes (http.body_bytes)",
    )


async def expect_nothing(request: web.Request) -> None:
    """Leave `Expect: 100-continue` to who reads the body: a refusal spares the client sending it.

    Raises: HTTPExpectationFailed for anything else.
    """
    if request.headers[hdrs.EXPECT].lower() != _CONTINUE:
        raise web.HTTPExpectationFailed(text=f"the only Expect understood is {_CONTINUE}")


async def _continue(request: web.Request) -> None:
    """Answer `Expect: 100-continue`, so that the client sends its body."""
    if hdrs.EXPECT in request.headers and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _require_unencoded(request: web.Request) -> None:
    """Refuse what would have to be unpacked: a small body may unpack to any size."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower() not in _UNENCODED:
        raise HttpRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "http.body.encoded",
            "the body must not be compressed: leave Content-Encoding out",
            headers={"Accept-Encoding": "identity"},
        )
