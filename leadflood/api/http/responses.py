"""Answers that are not JSON, and answers of which only a part is shown."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import msgspec


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer sent piece by piece; with a `file_name` a browser keeps it as a file."""

    pieces: AsyncGenerator[bytes, None]
    content_type: str
    file_name: str = ""


class HtmlPage(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is not JSON: a page for people, text for machines.

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


def created_or_existing(answer: msgspec.Struct, *, is_new: bool) -> HtmlPage:
    """Answer 201 for what was created now, 200 for what existed."""
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return HtmlPage(
        body=msgspec.json.encode(answer), content_type="application/json", status=status.value
    )
