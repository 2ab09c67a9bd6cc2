"""Pagination: a page of a list, and the cursor to the next one."""

import base64
import binascii
from collections.abc import Callable, Sequence
from http import HTTPStatus
from types import GenericAlias
from typing import Annotated, Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from leadflood.api.http.problems import HttpRefused
from leadflood.engine.errors import FieldProblem

ItemT = TypeVar("ItemT")
PositionT = TypeVar("PositionT")
Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]
PageNumber = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
DEEPEST = 10_000
"""How many items pages by number reach: skipping is work, a cursor is none."""
BY_ID = ""
"""The sort of lists that are ordered by their id."""


class Selection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which fields of what is shown: names with commas between; empty: all."""

    fields: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class PageRequest:
    """The verbs of a query for a page; a struct that mixes it in declares these fields."""

    __slots__ = ()

    fields: str
    limit: int
    cursor: str
    page: int | None

    @property
    def offset(self) -> int:
        """How many items to skip behind the position."""
        return 0 if self.page is None else (self.page - 1) * self.limit

    @property
    def fetch_limit(self) -> int:
        """How many items to read where the repository cannot skip: `skip` drops the first."""
        return self.offset + self.limit + 1

    def skip(self, items: Sequence[ItemT]) -> Sequence[ItemT]:
        """Drop the items before the page."""
        return items[self.offset :]

    def position(self) -> UUID | None:
        """Return where to go on in a list by id; None: at the beginning. Raises: HttpRefused."""
        return self.position_in(BY_ID, UUID)

    def position_in(self, sort: str, kind: type[PositionT]) -> PositionT | None:
        """Return where to go on in a list by another sort: the values that `paginate` was given.

        Raises: HttpRefused for a cursor that is none, or belongs to another sort.
        """
        if not self.cursor:
            return None
        position: PositionT = read_cursor(self.cursor, sort, kind)
        return position

    def require_sound(self) -> None:
        """Refuse what cannot be answered. Raises: HttpRefused."""
        if self.page is None:
            return
        if self.cursor:
            raise _refused("page", "page or cursor: one of both says where to go on")
        if self.page * self.limit > DEEPEST:
            raise _refused(
                "page",
                f"pages by number reach the first {DEEPEST:,} items: go on with the nextCursor of"
                " the page before",
            )


class Paging(
    Selection, PageRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """How much of a list; `cursor` is the `nextCursor` of the page before.

    `page` counts from 1, not together with a cursor; null: where the cursor says, or the first.
    """

    limit: Limit = 50
    cursor: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    page: PageNumber | None = None


class Pagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a page stands; `nextCursor` null: there is no more. `total` null: not counted.

    `page` null: a cursor was followed, so nobody knows.
    """

    limit: int
    next_cursor: str | None
    page: int | None = None
    total: int | None = None
    total_is_estimate: bool = False
    total_pages: int | None = None


def _id_of(item: Any) -> Any:
    return item.id


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


def paginate(
    items: Sequence[ItemT],
    paging: PageRequest,
    position_of: Callable[[ItemT], Any] = _id_of,
    total: Counted | None = None,
    *,
    sort: str = BY_ID,
) -> Listed[ItemT]:
    """Return a page of items read from the query's position on, `fetch_limit` of them at most.

    `position_of` returns an item's position in the sort: its id, or for another sort the values
    that `position_in` reads back (a tuple such as score and id).
    """
    return make_page(paging.skip(items), paging, position_of, total, sort=sort)


def make_page(
    items: Sequence[ItemT],
    paging: PageRequest,
    position_of: Callable[[ItemT], Any] = _id_of,
    total: Counted | None = None,
    *,
    sort: str = BY_ID,
) -> Listed[ItemT]:
    """Return a page of one more item than it may hold: the last shows whether there is more."""
    data = items[: paging.limit]
    more = len(items) > paging.limit
    page = Pagination(
        limit=paging.limit,
        next_cursor=write_cursor(position_of(data[-1]), sort) if more else None,
        page=None if paging.cursor else paging.page or 1,
    )
    if total is not None:
        page = msgspec.structs.replace(
            page,
            total=total.count,
            total_is_estimate=total.is_estimate,
            total_pages=-(-total.count // paging.limit),
        )
    return Listed(data=data, pagination=page)


def write_cursor(position: Any, sort: str = BY_ID) -> str:
    """Encode a position as an opaque cursor, bound to its sort."""
    by_id = sort == BY_ID and isinstance(position, UUID)
    raw = position.bytes if by_id else msgspec.msgpack.encode((sort, position))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(cursor: str, sort: str = BY_ID, kind: Any = UUID) -> Any:
    """Read a position back. Raises: HttpRefused when we did not write it, or for another sort."""
    wrong = "cursor: give the nextCursor of the page before, with the same sort, unchanged"
    try:
        raw = base64.b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}".encode(), b"-_", validate=True)
        if sort == BY_ID and kind is UUID:
            return UUID(bytes=raw)
        written_for, position = msgspec.msgpack.decode(raw, type=GenericAlias(tuple, (str, kind)))
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _refused("cursor", wrong, "is none of ours") from error
    if written_for != sort:
        raise _refused("cursor", wrong, "belongs to another sort")
    return position


def names_in(fields: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Read the names of `fields`, each once. Raises: HttpRefused naming those allowed."""
    names = tuple(dict.fromkeys(name.strip() for name in fields.split(",") if name.strip()))
    unknown = [name for name in names if name not in allowed]
    if unknown:
        raise _refused(
            "fields", f"there is no field {unknown[0]!r} here; known are {', '.join(allowed)}"
        )
    return names


def _refused(name: str, detail: str, problem: str | None = None) -> HttpRefused:
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "http.query.invalid",
        detail,
        (FieldProblem(name, problem or detail),),
    )
