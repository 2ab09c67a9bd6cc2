"""Responses other than one struct as JSON: raw bytes, streams, and parts of a resource."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import msgspec


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer sent piece by piece; with a `file_name` a browser keeps it as a file."""

    pieces: AsyncGenerator[bytes, None]
    content_type: str
    file_name: str = ""


class RawResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response whose bytes, media type and status the handler chose: a page, text, or JSON.

    `policy` is its Content-Security-Policy; empty: the strict one of every answer.
    """

    body: bytes
    content_type: str
    status: int = 200
    policy: str = ""


class PartialResponse(msgspec.Struct, frozen=True):
    """An answer of which only some fields are shown; the ETag is that of the whole."""

    resource: Any
    fields: Any


def json_response(answer: msgspec.Struct, status: HTTPStatus) -> RawResponse:
    """Answer a struct with a status other than the route's own."""
    return RawResponse(
        body=msgspec.json.encode(answer), content_type="application/json", status=status.value
    )


def created_or_existing(answer: msgspec.Struct, *, is_new: bool) -> RawResponse:
    """Answer 201 for what was created now, 200 for what existed."""
    return json_response(answer, HTTPStatus.CREATED if is_new else HTTPStatus.OK)
