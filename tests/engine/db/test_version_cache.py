from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

from leadflood.engine.db.tx import Reader
from leadflood.engine.db.version_cache import VersionCache

DB = cast("Reader", None)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


class Source:
    """Versions 1 and 2, and what was asked for."""

    def __init__(self) -> None:
        self.queries: list[set[UUID]] = []

    async def find(self, _db: Reader, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        self.queries.append(set(ids))
        return {key: key.int for key in ids if key != THREE}


async def test_a_version_is_read_once() -> None:
    source = Source()
    cache = VersionCache(source.find)

    first = await cache.find_many(DB, {ONE})
    second = await cache.find_many(DB, {ONE, TWO})

    assert (first, second) == ({ONE: 1}, {ONE: 1, TWO: 2})
    assert await cache.find_many(DB, {ONE, TWO}) == second
    assert source.queries == [{ONE}, {TWO}]


async def test_a_version_that_does_not_exist_is_left_out_and_asked_for_again() -> None:
    source = Source()
    cache = VersionCache(source.find)

    assert await cache.find_many(DB, {ONE, THREE}) == {ONE: 1}
    assert await cache.find_many(DB, {THREE}) == {}
    assert source.queries == [{ONE, THREE}, {THREE}]


async def test_a_full_cache_starts_anew_and_still_answers_for_what_it_held() -> None:
    source = Source()
    cache = VersionCache(source.find, limit=1)
    await cache.find_many(DB, {ONE})

    assert await cache.find_many(DB, {ONE, TWO}) == {ONE: 1, TWO: 2}
    assert await cache.find_many(DB, {ONE}) == {ONE: 1}
    assert source.queries == [{ONE}, {TWO}, {ONE}]
