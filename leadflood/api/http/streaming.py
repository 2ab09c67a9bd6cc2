"""Answers that are sent piece by piece: memory holds one piece, however long the whole is."""

from collections.abc import Callable
from contextlib import aclosing
from http import HTTPStatus

import anyio
from aiohttp import hdrs, web

from leadflood.api.http.responses import Streamed
from leadflood.engine.obs.log import log

PATIENCE_SECONDS = 20.0
"""How long a client may take to accept a piece."""
LONGEST_SECONDS = 1_800.0
"""How long a client may take to accept them all."""


async def send_stream(
    request: web.Request, stream: Streamed, dress: Callable[[web.StreamResponse], None]
) -> web.StreamResponse:
    """Send the pieces; what goes wrong before the first one is an answer like any other.

    A client that is gone, or takes too long, ends the making of pieces at once. What goes wrong
    later cuts the connection, so that no client takes half of it for the whole.
    """
    response = web.StreamResponse(status=HTTPStatus.OK)
    response.headers[hdrs.CONTENT_TYPE] = stream.content_type
    if stream.file_name:
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{stream.file_name}"'
    dress(response)
    async with aclosing(stream.pieces) as pieces:
        first = await anext(pieces, b"")
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            with anyio.fail_after(LONGEST_SECONDS):
                await _write(response, first)
                async for piece in pieces:
                    await _write(response, piece)
                await response.write_eof()
        except (ConnectionError, TimeoutError):
            log.info("http.download.cut", path=request.path)
            _cut(request)
        except BaseException:
            _cut(request)
            raise
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    if piece:
        with anyio.fail_after(PATIENCE_SECONDS):
            await response.write(piece)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
