"""A cache of values that never change once they are written, such as numbered versions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set as AbstractSet
from typing import Generic, TypeVar
from uuid import UUID

from leadflood.engine.db.tx import Reader

ValueT = TypeVar("ValueT")
Find = Callable[[Reader, Sequence[UUID]], Awaitable[Mapping[UUID, ValueT]]]
"""Reads values by id; ids without one are left out."""


class VersionCache(Generic[ValueT]):
    """Values by id, each read when it is first needed; past `limit` values it starts anew."""

    def __init__(self, find: Find[ValueT], limit: int = 256) -> None:
        self._find = find
        self._limit = limit
        self._values: dict[UUID, ValueT] = {}

    async def find_many(self, db: Reader, ids: AbstractSet[UUID]) -> Mapping[UUID, ValueT]:
        """Return the values of ids; ids without one are left out. Waits: for those not cached."""
        cached = {key: self._values[key] for key in ids & self._values.keys()}
        missing = ids - cached.keys()
        if not missing:
            return cached
        values = await self._find(db, list(missing))
        if len(self._values) + len(values) > self._limit:
            self._values = {}
        self._values |= values
        return cached | dict(values)
