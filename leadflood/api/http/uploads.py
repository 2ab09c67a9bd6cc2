"""Files on their way in: read as they arrive, never whole in memory.

A file comes as the body itself (`Content-Type: text/csv`) or as the one part of a form
(`multipart/form-data`).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import TypeVar

import anyio
import msgspec
from aiohttp import BodyPartReader, web

from leadflood.api.http.problems import HttpRefused
from leadflood.engine.errors import FieldProblem

FORM = "multipart/form-data"
CHUNK_BYTES = 256 * 1024
MOST_NAME = 200
_T = TypeVar("_T")


class Limits(msgspec.Struct, frozen=True):
    """How large a file may be, and how long the next piece of it may take."""

    most_bytes: int
    read_seconds: float


class Upload:
    """A file on its way in. Read `chunks` once; its name and type are what the sender says.

    `size` is how much has been read so far.
    """

    def __init__(self, request: web.Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self.name = ""
        self.content_type = request.content_type
        self.size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the file piece by piece.

        Raises: HttpRefused 413 when it is too large, 408 when it stops arriving, 400 and 422 when
        the form is not one file.
        """
        if (self._request.content_length or 0) > self._limits.most_bytes + CHUNK_BYTES:
            raise self._too_large()
        pieces = self._of_form() if self.content_type == FORM else self._of_body()
        async with aclosing(pieces):
            async for piece in pieces:
                self.size += len(piece)
                if self.size > self._limits.most_bytes:
                    raise self._too_large()
                yield piece

    async def _of_body(self) -> AsyncGenerator[bytes, None]:
        while piece := await self._in_time(self._request.content.read(CHUNK_BYTES)):
            yield piece

    async def _of_form(self) -> AsyncGenerator[bytes, None]:
        try:
            parts = await self._request.multipart()
            part = await self._in_time(parts.next())
            if not isinstance(part, BodyPartReader):
                raise _not_one_file()
            self.name = (part.filename or "")[:MOST_NAME]
            self.content_type = part.headers.get("Content-Type", "").partition(";")[0].strip()
            while piece := await self._in_time(part.read_chunk(CHUNK_BYTES)):
                yield bytes(piece)
            if await self._in_time(parts.next()) is not None:
                raise _not_one_file()
        except (ValueError, AssertionError, RuntimeError) as error:
            raise HttpRefused(
                HTTPStatus.BAD_REQUEST,
                "http.upload.malformed",
                f"the form cannot be read: {str(error)[:200] or 'it ends too early'}",
            ) from error

    async def _in_time(self, reading: Awaitable[_T]) -> _T:
        with anyio.move_on_after(self._limits.read_seconds), refusing_cut_bodies(self._request):
            return await reading
        raise HttpRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            "http.body.slow",
            f"nothing of the file arrived for {self._limits.read_seconds:g} s",
        )

    def _too_large(self) -> HttpRefused:
        return HttpRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "http.upload.too_large",
            f"the file has more than {self._limits.most_bytes} bytes (http.import_bytes): split it",
        )


@contextmanager
def refusing_cut_bodies(request: web.Request) -> Iterator[None]:
    """Refuse a body whose connection ends, from either side, while the block reads it.

    Raises: HttpRefused, which nobody is there to read: it is what is logged and counted.
    """
    try:
        yield
    except (ConnectionError, RuntimeError) as error:  # aiohttp has no class of its own for it
        if request.transport is not None:
            raise
        raise HttpRefused(
            HTTPStatus.BAD_REQUEST, "http.body.broken", "the connection ended before the body"
        ) from error


def open_upload(request: web.Request, takes: tuple[str, ...], limits: Limits) -> Upload:
    """Prepare to read a file. Raises: HttpRefused 415 for a type that is not accepted."""
    if request.content_type not in takes or not request.headers.get("Content-Type"):
        raise HttpRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "http.upload.type",
            f"send the file as {' or as '.join(takes)}",
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise HttpRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "http.upload.packed",
            "send the file as it is, without Content-Encoding",
        )
    return Upload(request, limits)


def _not_one_file() -> HttpRefused:
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "http.upload.parts",
        "the form must have one part: the file",
        (FieldProblem("file", "send one file and nothing beside it"),),
    )
