"""Lists: a page of what was asked for, and where the next one begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from leadflood.api.problems import HttpRefused
from leadflood.engine.errors import FieldProblem

ItemT = TypeVar("ItemT")
Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]


class Paging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How much of a list; `cursor` is the `nextCursor` of the page before."""

    limit: Limit = 50
    cursor: str = ""

    def place(self) -> UUID | None:
        """Tell where to go on; None: at the beginning. Raises: HttpRefused."""
        return read_cursor(self.cursor) if self.cursor else None


class Pagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a page stands; `nextCursor` null: there is no more. `total` null: not counted."""

    limit: int
    next_cursor: str | None
    page: int | None = None
    total: int | None = None
    total_is_estimate: bool = False
    total_pages: int | None = None


class Counted(Protocol):
    """How many items there are in all; exact up to a bound, an estimate beyond."""

    @property
    def count(self) -> int:
        """The number."""

    @property
    def is_estimate(self) -> bool:
        """Not exact."""


class Listed(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True, rename="camel"):
    """A page of a list."""

    data: Sequence[ItemT]
    pagination: Pagination


def listed(
    items: Sequence[ItemT],
    paging: Paging,
    place_of: Callable[[ItemT], UUID],
    total: Counted | None = None,
) -> Listed[ItemT]:
    """Make a page of one more item than it may hold: the last one tells whether there is more."""
    shown = items[: paging.limit]
    more = len(items) > paging.limit
    cursor = write_cursor(place_of(shown[-1])) if more else None
    page = Pagination(limit=paging.limit, next_cursor=cursor)
    if total is not None:
        page = msgspec.structs.replace(
            page,
            total=total.count,
            total_is_estimate=total.is_estimate,
            total_pages=-(-total.count // paging.limit),
        )
    return Listed(data=shown, pagination=page)


def write_cursor(place: UUID) -> str:
    """Make a place opaque."""
    return base64.urlsafe_b64encode(place.bytes).rstrip(b"=").decode()


def read_cursor(cursor: str) -> UUID:
    """Read a place back. Raises: HttpRefused when we did not write it."""
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==".encode(), b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "http.query.invalid",
            "cursor: give the nextCursor of the page before, unchanged",
            (FieldProblem("cursor", "is none of ours"),),
        ) from error  # fmt: skip
