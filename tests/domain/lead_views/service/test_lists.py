from collections.abc import Sequence

import pytest
from leadflood.contracts.values import Band
from leadflood.domain.lead_views.repository import lists as repository
from leadflood.domain.lead_views.schemas import LeadFilter, LeadPaging, LeadSort
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from tests.domain.leads.people import SEEN_AT, a_person
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ALL = LeadFilter()


@pytest.fixture
async def names(database: Database) -> Sequence[str]:
    full_names = [f"Ann Number{number}" for number in range(6)]
    people = [
        a_person(full_name=name, email=f"p{n}@x.example") for n, name in enumerate(full_names)
    ]
    async with database.transaction() as tx:
        await upsert(tx, people, Ids(SystemClock()), SEEN_AT)
    return full_names


async def test_a_count_is_exact_to_the_bound_and_an_estimate_beyond(
    database: Database, names: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = LeadLists(database)

    _, exact = await lists.list_page(ALL, LeadPaging())
    monkeypatch.setattr(repository, "EXACT", 3)
    _, beyond = await lists.list_page(ALL, LeadPaging())

    assert (exact.count, exact.is_estimate) == (len(names), False)
    assert beyond.is_estimate
    assert beyond.count >= 4


async def test_an_exact_count_is_made_anew_each_time(
    database: Database, names: Sequence[str]
) -> None:
    lists = LeadLists(database)
    await lists.list_page(ALL, LeadPaging())

    await database.execute(sql("UPDATE lead SET deleted_at = created_at"))

    page, total = await lists.list_page(ALL, LeadPaging())
    assert (page, total.count) == ([], 0)
    assert names


async def test_an_estimate_is_cached_for_its_filter_alone(
    database: Database, names: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "EXACT", 3)
    lists = LeadLists(database)
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
    lists = LeadLists(database)
    lead_filter = LeadFilter(q="number")

    rare, _ = await lists.list_page(lead_filter, LeadPaging(sort=LeadSort.NAME))
    monkeypatch.setattr(repository, "EXACT", 3)
    common, _ = await lists.list_page(lead_filter, LeadPaging(sort=LeadSort.NAME))

    assert [listed.lead.id for listed in rare] == [listed.lead.id for listed in common]
    assert len(rare) == len(names)
