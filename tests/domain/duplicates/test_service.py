import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas.principals import EVERYTHING, Editor, Visibility
from leadflood.domain.duplicates.schemas import (
    DuplicateFilter,
    DuplicateState,
    DuplicateView,
    Settings,
)
from leadflood.domain.duplicates.service import DuplicateSearch, DuplicateService
from leadflood.domain.leads.schemas.identity import NewPerson
from leadflood.domain.leads.service import telling_apart
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.withdrawal import delete_leads
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.errors import NotFound
from tests.domain.leads.people import CLOCK, IDS, a_person, saved

pytestmark = pytest.mark.pg
SEARCH = DuplicateSearch(Settings(), IDS, CLOCK)
SERVICE = DuplicateService(LeadService(), LeadMerging(IDS, CLOCK), CLOCK)
ANN = Editor(by="ann")
SIGNED = Query(
    "count_signed",
    "SELECT count(*) FROM duplicate_signature WHERE lead_id = ANY($1::uuid[])",
    ("lead_ids",),
)
COUNT = Query("count_pairs", "SELECT count(*) FROM possible_duplicate", ())


async def search(database: Database) -> None:
    while True:
        async with database.transaction() as tx:
            lead_ids = await telling_apart.take_unsearched(tx, 500, CLOCK.now())
            if not lead_ids:
                return
            await SEARCH.search(tx, lead_ids)
            await telling_apart.record_searched(tx, lead_ids, CLOCK.now())


async def pairs_of(
    database: Database,
    lead_id: UUID,
    state: DuplicateState = DuplicateState.OPEN,
    visibility: Visibility = EVERYTHING,
) -> Sequence[DuplicateView]:
    wanted = DuplicateFilter(state=state, lead_id=lead_id)
    return await SERVICE.list(database, wanted, visibility, None, 50)


def namesakes(domain: str, count: int = 2) -> list[NewPerson]:
    return [
        a_person(
            email=f"john{number}@{domain}",
            full_name="John Smith",
            company_domain=domain,
            title=f"Job {number}",
        )
        for number in range(count)
    ]


async def suspected(database: Database, domain: str) -> tuple[UUID, UUID, DuplicateView]:
    older, younger = await saved(database, *namesakes(domain))
    await search(database)
    [pair] = await pairs_of(database, older)
    return older, younger, pair


async def test_namesakes_are_shown_side_by_side_with_why(database: Database) -> None:
    older, younger, pair = await suspected(database, "side.example")

    assert (pair.lead.id, pair.other.id) == (older, younger)
    assert pair.reasons == ("same name", "same domain side.example", "other address")
    assert 0.4 <= pair.score < 1
    titles = {lead.values[FieldName.TITLE] for lead in (pair.lead, pair.other)}
    assert titles == {"Job 0", "Job 1"}


async def test_a_merge_hides_a_pair_and_its_undo_does_not_ask_again(database: Database) -> None:
    older, younger, pair = await suspected(database, "merge.example")

    async with database.transaction() as tx:
        event = await SERVICE.merge(tx, pair.id, ANN)
    hidden = await pairs_of(database, older)
    async with database.transaction() as tx:
        await LeadMerging(IDS, CLOCK).unmerge(tx, younger, ANN)
    await search(database)

    assert (event.lead_id, event.survivor_id) == (younger, older)
    assert list(hidden) == []
    assert list(await pairs_of(database, older)) == []


async def test_a_pair_that_only_a_merge_made_alike_goes_with_its_undo(database: Database) -> None:
    ada, bert, twin = await saved(
        database,
        a_person(email="ada@merged.example", full_name="Ada Lund"),
        a_person(phone="+4930123456", full_name="Bert Moe"),
        a_person(phone="+4930123456", full_name="Berta Moe"),
    )
    await search(database)
    assert [(pair.lead.id, pair.other.id) for pair in await pairs_of(database, twin)] == [
        (bert, twin)
    ]

    async with database.transaction() as tx:
        await LeadMerging(IDS, CLOCK).merge(tx, bert, ada, ANN)
    await search(database)
    merged = [(pair.lead.id, pair.other.id) for pair in await pairs_of(database, twin)]
    async with database.transaction() as tx:
        await LeadMerging(IDS, CLOCK).unmerge(tx, bert, ANN)
    await search(database)

    assert merged == [(ada, twin)]
    assert [(pair.lead.id, pair.other.id) for pair in await pairs_of(database, twin)] == [
        (bert, twin)
    ]


async def test_different_is_remembered_for_later_leads_of_the_same_keys(
    database: Database,
) -> None:
    people = namesakes("different.example")
    older, younger = await saved(database, *people)
    await search(database)
    [pair] = await pairs_of(database, older)

    async with database.transaction() as tx:
        await SERVICE.tell_apart(tx, pair.id, ANN)
    [decided] = await pairs_of(database, older, DuplicateState.DIFFERENT)
    async with database.transaction() as tx:
        await delete_leads(tx, [younger])
    (again,) = await saved(database, people[1])
    await search(database)

    assert (decided.decided_by, again != younger) == ("ann", True)
    assert list(await pairs_of(database, older)) == []


async def test_a_pair_goes_with_its_lead(database: Database) -> None:
    _, younger, _ = await suspected(database, "gone.example")
    before = await database.fetch_value(COUNT)

    async with database.transaction() as tx:
        await delete_leads(tx, [younger])

    assert await database.fetch_value(COUNT) == before - 1


async def test_a_lead_that_goes_during_a_search_leaves_nothing_behind(database: Database) -> None:
    leaving, staying = await saved(database, *namesakes("leaving.example"))
    async with asyncio.TaskGroup() as tasks, database.transaction() as tx:
        await delete_leads(tx, [leaving])
        running = tasks.create_task(search(database))
        done, _ = await asyncio.wait({running}, timeout=0.3)

    assert not done  # the search met the deletion
    assert list(await pairs_of(database, staying)) == []
    assert await database.fetch_value(SIGNED, lead_ids=[leaving, staying]) == 1


async def test_who_sees_their_own_leads_sees_pairs_of_those_alone(database: Database) -> None:
    older, _, pair = await suspected(database, "own.example")
    rep = Visibility(UUID(int=7))

    assert list(await pairs_of(database, older, visibility=rep)) == []
    for decide in (SERVICE.merge, SERVICE.tell_apart):
        with pytest.raises(NotFound):
            async with database.transaction() as tx:
                await decide(tx, pair.id, Editor(by="rep", visibility=rep))


async def test_a_lead_that_changes_during_a_search_is_searched_again(database: Database) -> None:
    (lead_id,) = await saved(database, namesakes("again.example")[0])
    async with database.transaction() as tx:
        taken = await telling_apart.take_unsearched(tx, 500, CLOCK.now())
    await saved(database, a_person(email="john0@again.example", title="New"))
    async with database.transaction() as tx:
        await telling_apart.record_searched(tx, taken, CLOCK.now())
        again = await telling_apart.take_unsearched(tx, 500, CLOCK.now())

    assert lead_id in taken
    assert lead_id in again


async def test_of_many_namesakes_a_part_is_compared(database: Database) -> None:
    lead_ids = await saved(database, *namesakes("crowd.example", 200))
    await search(database)

    for lead_id in lead_ids[:5]:
        assert len(await pairs_of(database, lead_id)) <= 50
    assert await database.fetch_value(COUNT) < 4_000
