from collections.abc import Sequence

import pytest
from leadflood.contracts.values import Band
from leadflood.domain.leads import store
from leadflood.domain.overview import listing
from leadflood.domain.overview.schemas import LeadFilter, LeadPaging, LeadSort
from leadflood.domain.overview.service import LeadListService
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from tests.domain.leads.people import SEEN_AT, a_person
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ALL = LeadFilter()


@pytest.fixture
async def names(database: Database) -> Sequence[str]:
    told = [f"Ann Number{number}" for number in range(6)]
    people = [a_person(full_name=name, email=f"p{n}@x.example") for n, name in enumerate(told)]
    async with database.transaction() as tx:
        await store.upsert(tx, people, Ids(SystemClock()), SEEN_AT)
    return told


async def test_a_count_is_exact_to_the_bound_and_an_estimate_beyond(
    database: Database, names: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = LeadListService(database)

    _, exact = await lists.list_page(ALL, LeadPaging())
    monkeypatch.setattr(listing, "EXACT", 3)
    _, beyond = await lists.list_page(ALL, LeadPaging())

    assert (exact.count, exact.is_estimate) == (len(names), False)
    assert beyond.is_estimate
    assert beyond.count >= 4


async def test_what_is_counted_is_counted_anew_each_time(
    database: Database, names: Sequence[str]
) -> None:
    lists = LeadListService(database)
    await lists.list_page(ALL, LeadPaging())

    await database.execute(sql("UPDATE lead SET deleted_at = created_at"))

    found, total = await lists.list_page(ALL, LeadPaging())
    assert (found, total.count) == ([], 0)
    assert names


async def test_that_there_are_many_is_remembered_for_its_filter_alone(
    database: Database, names: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "EXACT", 3)
    lists = LeadListService(database)
    await lists.list_page(ALL, LeadPaging())
    await database.execute(sql("UPDATE lead SET deleted_at = created_at"))

    _, same = await lists.list_page(ALL, LeadPaging(sort=LeadSort.NAME))
    _, other = await lists.list_page(LeadFilter(band=Band.HIGH), LeadPaging())

    assert same.is_estimate
    assert (other.count, other.is_estimate) == (0, False)
    assert names


async def test_common_words_and_rare_ones_find_the_same(
    database: Database, names: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = LeadListService(database)
    wanted = LeadFilter(q="number")

    rare, _ = await lists.list_page(wanted, LeadPaging(sort=LeadSort.NAME))
    monkeypatch.setattr(listing, "EXACT", 3)
    common, _ = await lists.list_page(wanted, LeadPaging(sort=LeadSort.NAME))

    assert [one.lead.id for one in rare] == [one.lead.id for one in common]
    assert len(rare) == len(names)
