"""Conditional requests (RFC 9110, 13): ETag out, If-Match and If-None-Match in.

A thing's ETag is its version in quotes. Where an answer shows more than its version counts, a
digest of the answer follows it (`"3-1f0c9a2b"`): for If-Match only the version matters.
"""

import re
import zlib
from http import HTTPStatus

from leadflood.api.http.problems import HttpRefused
from leadflood.engine.errors import FieldProblem

NO_VERSION = -1
"""The version of an If-Match that can match nothing of ours: a weak or foreign tag."""
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_OURS = re.compile(r"([0-9]{1,9})(?:-[0-9a-f]{8})?")


def write_etag(version: int, more: bytes | None = None) -> str:
    """Write the tag of a version; `more` is the answer, where it shows more than that."""
    return f'"{version}"' if more is None else f'"{version}-{zlib.crc32(more):08x}"'


def read_if_match(headers: list[str]) -> frozenset[int] | None:
    """Return the versions that If-Match names; None: any (`*`, or no such header).

    Raises: HttpRefused 400 when it is no list of tags.
    """
    if not headers or (text := ", ".join(headers).strip()) == "*":
        return None
    tags = _TAG.findall(text)
    between = _TAG.sub("", text)
    if not tags or between.strip(", \t") or between.count(",") < len(tags) - 1:
        raise HttpRefused(
            HTTPStatus.BAD_REQUEST,
            "http.condition.malformed",
            'If-Match: send the ETag of an earlier answer unchanged ("3"), several with commas'
            " between, or *",
            (FieldProblem("If-Match", "is no list of entity tags"),),
        )
    return frozenset(
        int(ours[1]) if not weak and (ours := _OURS.fullmatch(tag)) else NO_VERSION
        for weak, tag in tags
    )


def is_known(headers: list[str], etag: str) -> bool:
    """Whether If-None-Match names what would be answered; weak tags count as strong ones.

    One that cannot be read names nothing.
    """
    text = ", ".join(headers).strip()
    return text == "*" or etag.strip('"') in [tag for _, tag in _TAG.findall(text)]
