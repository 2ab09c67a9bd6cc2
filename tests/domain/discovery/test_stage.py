from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from leadflood.contracts.errors import ProviderChanged
from leadflood.contracts.found_values import FoundPerson, FoundValue
from leadflood.contracts.ports.people import PeoplePage, PeopleQuery, PeopleSource
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery import repository
from leadflood.domain.discovery.rules import LOOPS, MOST_STALE_PAGES, UNREADABLE
from leadflood.domain.discovery.schemas import (
    DiscoveryCompleted,
    DiscoveryFailed,
    DiscoveryState,
    DiscoveryView,
    LeadDiscovered,
    NewDiscovery,
    PageInput,
    PageWanted,
    RecordFilter,
    RecordStatus,
    RecordView,
)
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.discovery.stage import DiscoveryStage
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound, Permanent, Transient
from leadflood.engine.ids import Ids
from leadflood.engine.net.client import open_client
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Cancelled, Discard, Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy
from leadflood.providers.apollo import Apollo
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.prices import Keys
from leadflood.sandbox.world import WorldConfig, serve
from tests.support.gate import DirectGate

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=3)
pytestmark = pytest.mark.pg


class PagedSource:
    """A source of a fixed list of people, a few a page."""

    name = "apollo"

    def __init__(self, people: Sequence[FoundPerson], page_size: int = 3) -> None:
        self._people = people
        self._size = page_size

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        assert isinstance(query, PeopleQuery)
        start = int(cursor or 0)
        end = start + self._size
        return PeoplePage(
            people=tuple(self._people[start:end]),
            next_cursor=str(end) if end < len(self._people) else None,
            total=len(self._people),
            cost_micros=7,
        )

    def cursor_behind(self, cursor: str | None) -> str | None:
        return str(int(cursor or 0) + self._size)


def a_found_person(number: int | str, name: str = "Ann") -> FoundPerson:
    value = FoundValue(
        field=FieldName.FIRST_NAME,
        value=name,
        source="apollo",
        method="people.search",
        observed_at=CLOCK.now(),
        confidence=0.7,
        evidence_hash=f"page of {number}",
    )
    return FoundPerson("apollo", str(number), (value,))


def a_stage(people: Sequence[FoundPerson], page_size: int = 3) -> DiscoveryStage:
    return DiscoveryStage(Policy(), {"apollo": PagedSource(people, page_size)}, IDS, CLOCK)


def a_claim(task: PageWanted, attempts: int = 0) -> ClaimedTask[PageWanted]:
    return ClaimedTask(task, IDS.new(), 1, task.discovery_run_id, attempts, CLOCK.now())


async def records_of(database: Database, task: PageWanted) -> Sequence[RecordView]:
    return await repository.inspect_records(database, task.discovery_run_id, RecordFilter(), 0, 100)


async def started(
    database: Database,
    wanted_count: int = 100,
    provider: str = "apollo",
    page_size: int = 100,
) -> PageWanted:
    new = NewDiscovery(
        run_id=IDS.new(),
        icp_id=IDS.new(),
        provider=provider,
        query=PeopleQuery(page_size=page_size),
        wanted_count=wanted_count,
    )
    async with database.transaction() as tx:
        return await DiscoveryService(CLOCK, [provider]).start(tx, new)


async def one_page(database: Database, stage: DiscoveryStage, task: PageWanted) -> list[Event]:
    claim = a_claim(task)
    (loaded,) = await stage.load(database, [claim])
    assert isinstance(loaded, PageInput)
    outcome = await stage.work(loaded)
    assert isinstance(outcome, Done)
    return await committed(database, stage, FinishedTask(claim, outcome, loaded))


async def committed(
    database: Database, stage: DiscoveryStage, *finished: FinishedTask[PageWanted, PeoplePage]
) -> list[Event]:
    async with database.transaction() as tx:
        return [follow.event for follow in await stage.commit(tx, finished)]


async def all_pages(database: Database, stage: DiscoveryStage, task: PageWanted) -> list[Event]:
    events: list[Event] = []
    pages = [task]
    while pages:
        new = await one_page(database, stage, pages.pop())
        pages = [event for event in new if isinstance(event, PageWanted)]
        events += new
    return events


async def test_pages_are_asked_until_the_last_one(database: Database) -> None:
    task = await started(database)

    events = await all_pages(database, a_stage([a_found_person(n) for n in range(7)]), task)

    view = await DiscoveryService(CLOCK, ["apollo"]).get(database, task.discovery_run_id)
    assert sum(isinstance(event, LeadDiscovered) for event in events) == 7
    assert events[-1] == DiscoveryCompleted(task.discovery_run_id, 7)
    assert view.state is DiscoveryState.COMPLETED
    assert (view.page_count, view.discovered_count, view.cost_micros) == (3, 7, 21)
    assert view.total_count == 7


async def test_a_run_ends_with_as_many_leads_as_wanted(database: Database) -> None:
    task = await started(database, wanted_count=4)

    events = await all_pages(database, a_stage([a_found_person(n) for n in range(50)]), task)

    assert sum(isinstance(event, LeadDiscovered) for event in events) == 4
    assert events[-1] == DiscoveryCompleted(task.discovery_run_id, 4)


async def test_people_seen_twice_do_not_use_up_the_wanted_count(database: Database) -> None:
    people = [a_found_person(n) for n in (1, 1, 1, 2, 3)]
    task = await started(database, wanted_count=3)

    events = await all_pages(database, a_stage(people, page_size=5), task)

    records = await records_of(database, task)
    assert sum(isinstance(event, LeadDiscovered) for event in events) == 3
    assert [record.status for record in records] == [
        RecordStatus.DISCOVERED,
        RecordStatus.DUPLICATE,
        RecordStatus.DUPLICATE,
        RecordStatus.DISCOVERED,
        RecordStatus.DISCOVERED,
    ]
    assert [record.position for record in records] == [1, 2, 3, 4, 5]


async def test_a_page_committed_twice_changes_nothing(database: Database) -> None:
    task = await started(database)
    stage = a_stage([a_found_person(n) for n in range(7)])
    page = await PagedSource([a_found_person(n) for n in range(7)]).find_people(PeopleQuery(), None)
    finished = FinishedTask(a_claim(task), Done(page))

    first = await committed(database, stage, finished)
    second = await committed(database, stage, finished)

    view = await repository.find_view(database, task.discovery_run_id)
    assert len(first) == 4
    assert second == []
    assert view is not None
    assert (view.lead_count, view.page_count) == (3, 1)
    (loaded,) = await stage.load(database, [finished.claimed])
    assert isinstance(loaded, Done)


async def test_a_person_known_from_another_run_is_a_duplicate_and_goes_on_in_this_one(
    database: Database,
) -> None:
    stage = a_stage([a_found_person(1)])
    first = await all_pages(database, stage, await started(database))
    task = await started(database)

    second = await all_pages(database, stage, task)

    (record,) = await records_of(database, task)
    earlier, later = first[0], second[0]
    assert isinstance(earlier, LeadDiscovered)
    assert isinstance(later, LeadDiscovered)
    assert earlier.lead_id == later.lead_id
    assert (record.status, record.reason) == (RecordStatus.DUPLICATE, "known from earlier")


async def test_unusable_records_are_rejected_with_the_reason(database: Database) -> None:
    without_values = FoundPerson("apollo", "9", ())
    without_id = FoundPerson("apollo", " ", a_found_person(1).values)
    task = await started(database)
    page = PeoplePage(people=(without_values, without_id), refused=(("12", "no name\x00"),))

    await committed(database, a_stage([]), FinishedTask(a_claim(task), Done(page)))

    records = await records_of(database, task)
    assert {record.status for record in records} == {RecordStatus.REJECTED}
    assert [record.reason for record in records] == [
        "nothing is known of this person but an id",
        "the provider gave no id for this person",
        "no name",
    ]


async def test_a_source_that_refuses_ends_the_run_with_its_code(database: Database) -> None:
    task = await started(database)
    error = Permanent("the key is wrong", code="provider.key_refused")

    events = await committed(database, a_stage([]), FinishedTask(a_claim(task), Discard(error)))

    view = await repository.find_view(database, task.discovery_run_id)
    (record,) = await records_of(database, task)
    assert events == [DiscoveryFailed(task.discovery_run_id, "provider.key_refused")]
    assert view is not None
    assert (view.state, view.code) == (DiscoveryState.FAILED, "provider.key_refused")
    assert (record.status, record.reason) == (
        RecordStatus.ERROR,
        "provider.key_refused: the key is wrong",
    )


async def test_a_cancelled_run_is_cancelled_without_an_error(database: Database) -> None:
    task = await started(database)

    events = await committed(
        database,
        a_stage([]),
        FinishedTask(a_claim(task), Discard(Cancelled("its run was cancelled"))),
    )

    view = await repository.find_view(database, task.discovery_run_id)
    assert events == []
    assert view is not None
    assert (view.state, view.error_count) == (DiscoveryState.CANCELLED, 0)


async def test_a_repeated_cursor_ends_the_run(database: Database) -> None:
    task = await started(database)
    stage = a_stage([a_found_person(n) for n in range(9)])
    (again,) = [
        event for event in await one_page(database, stage, task) if isinstance(event, PageWanted)
    ]
    page = PeoplePage(people=(a_found_person(5),), next_cursor=again.cursor)

    events = await committed(database, stage, FinishedTask(a_claim(again), Done(page)))

    assert isinstance(events[-1], DiscoveryCompleted)


class CirclingSource:
    """A source whose pages never end: fresh cursors, and people from a circle."""

    name = "apollo"

    def __init__(self, circle: int, page_size: int = 2, people: int = 1_000) -> None:
        self._circle = circle
        self._size = page_size
        self._people = people

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        assert isinstance(query, PeopleQuery)
        start = int(cursor or 0)
        assert start < 50, "it is asked for ever"
        numbers = range(start, min(start + self._size, self._people))
        return PeoplePage(
            people=tuple(a_found_person(number % self._circle) for number in numbers),
            next_cursor=str(start + self._size),
        )

    def cursor_behind(self, _cursor: str | None) -> str | None:
        return None


@pytest.mark.parametrize(
    ("source", "leads", "pages"),
    [
        pytest.param(CirclingSource(circle=4), 4, 5, id="the same people under fresh cursors"),
        pytest.param(CirclingSource(circle=9, people=6), 6, 6, id="empty pages"),
    ],
)
async def test_a_source_that_goes_round_in_circles_ends_the_run_and_says_so(
    database: Database, source: CirclingSource, leads: int, pages: int
) -> None:
    stage = DiscoveryStage(Policy(), {"apollo": source}, IDS, CLOCK)
    task = await started(database)

    events = await all_pages(database, stage, task)

    run_id = task.discovery_run_id
    view = await DiscoveryService(CLOCK, ["apollo"]).get(database, run_id)
    (last_page,) = await repository.list_pages(database, run_id, after=pages - 1)
    assert (view.state, view.code) == (DiscoveryState.COMPLETED, LOOPS)
    assert (view.page_count, view.lead_count) == (pages, leads)
    assert events[-1] == DiscoveryCompleted(run_id, leads, LOOPS)
    assert last_page.code == LOOPS


async def test_people_known_from_earlier_runs_are_no_circle(database: Database) -> None:
    people = [a_found_person(number) for number in range(12)]
    await all_pages(database, a_stage(people, page_size=2), await started(database))
    task = await started(database)

    events = await all_pages(database, a_stage(people, page_size=2), task)

    assert events[-1] == DiscoveryCompleted(task.discovery_run_id, 12)


async def test_a_new_person_between_old_ones_keeps_a_search_going(database: Database) -> None:
    numbers = [0, 0, 0, 1, 0, 0, 2, 2, 2, 3, 4, 5]
    people = [a_found_person(number) for number in numbers]
    task = await started(database)

    events = await all_pages(database, a_stage(people, page_size=1), task)

    assert events[-1] == DiscoveryCompleted(task.discovery_run_id, 6)


async def test_pages_of_several_runs_are_committed_together(database: Database) -> None:
    tasks = [await started(database) for _ in range(5)]
    page = PeoplePage(people=tuple(a_found_person(n) for n in range(20)))
    pages = [FinishedTask(a_claim(task), Done(page)) for task in tasks]

    events = await committed(database, a_stage([]), *pages)

    discovered = [event for event in events if isinstance(event, LeadDiscovered)]
    assert len(discovered) == 100
    assert len({event.lead_id for event in discovered}) == 20


async def test_a_page_of_an_unknown_run_is_discarded(database: Database) -> None:
    task = PageWanted(discovery_run_id=IDS.new(), cursor=None, page=1)

    (loaded,) = await a_stage([]).load(database, [a_claim(task)])

    assert isinstance(loaded, Discard)
    assert isinstance(loaded.error, NotFound)


class World:
    """The pretend world's Apollo, asked for a page as often as the queue would."""

    def __init__(
        self, database: Database, source: Apollo, session: aiohttp.ClientSession, admin: str
    ) -> None:
        self.database = database
        self.source: PeopleSource = source
        self._session = session
        self._admin = admin

    async def set_garbage(self, *, is_on: bool) -> None:
        rates = {Fault.GARBAGE.value: 1.0} if is_on else {}
        async with self._session.post(f"{self._admin}/faults", json={"rates": rates}) as answer:
            assert answer.ok

    async def start(self) -> PageWanted:
        return await started(self.database, page_size=10)

    async def ask(self, task: PageWanted, *, is_garbage: bool = False) -> list[Event]:
        """Ask for a page until it is read or given up, and commit what comes of it."""
        await self.set_garbage(is_on=is_garbage)
        stage = DiscoveryStage(Policy(), {"apollo": self.source}, IDS, CLOCK)
        for attempts in range(stage.policy.attempts):
            claim = a_claim(task, attempts)
            (loaded,) = await stage.load(self.database, [claim])
            assert isinstance(loaded, PageInput)
            try:
                outcome = await stage.work(loaded)
            except Transient:
                continue
            except ProviderChanged as error:
                outcome = Discard(error)
            assert is_garbage == (attempts == stage.policy.attempts - 1)
            assert isinstance(outcome, Done | Discard)
            return await committed(self.database, stage, FinishedTask(claim, outcome, loaded))
        raise AssertionError("the last try did not end")

    async def view(self, task: PageWanted) -> DiscoveryView:
        view = await repository.find_view(self.database, task.discovery_run_id)
        assert view is not None
        return view


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    config = WorldConfig(folder=str(tmp_path), people_count=100)
    async with (
        serve(config, CLOCK) as addresses,
        open_client() as http,
        aiohttp.ClientSession() as session,
    ):
        settings = ProviderSettings(base_url=addresses.apollo, api_key=Keys().apollo)
        apollo = Apollo(settings, DirectGate(), http, CLOCK)
        yield World(database, apollo, session, addresses.admin)


def next_page(events: Sequence[Event]) -> PageWanted:
    (page,) = [event for event in events if isinstance(event, PageWanted)]
    return page


def lead_count(events: Sequence[Event]) -> int:
    return sum(isinstance(event, LeadDiscovered) for event in events)


async def test_a_page_that_stays_garbage_is_skipped_where_pages_are_numbered(
    world: World,
) -> None:
    task = await world.start()
    second = next_page(await world.ask(task))

    third = next_page(await world.ask(second, is_garbage=True))
    events = await world.ask(third)

    view = await world.view(task)
    pages = await repository.list_pages(world.database, task.discovery_run_id)
    records = await records_of(world.database, task)
    assert (third.page, third.cursor, lead_count(events)) == (3, "3", 10)
    assert (view.state, view.code) == (DiscoveryState.RUNNING, None)
    assert (view.unreadable_pages, view.error_count, view.lead_count) == ((2,), 1, 20)
    assert [page.code for page in pages] == [None, UNREADABLE, None]
    (unread,) = [record for record in records if record.status is RecordStatus.ERROR]
    assert unread.page == 2
    assert (unread.reason or "").startswith(UNREADABLE)


async def test_a_source_of_which_page_after_page_is_garbage_is_asked_no_further(
    world: World,
) -> None:
    task = await world.start()
    page = next_page(await world.ask(task))
    for _ in range(MOST_STALE_PAGES - 1):
        page = next_page(await world.ask(page, is_garbage=True))

    events = await world.ask(page, is_garbage=True)

    view = await world.view(task)
    assert events == [DiscoveryCompleted(task.discovery_run_id, 10, UNREADABLE)]
    assert (view.state, view.code) == (DiscoveryState.COMPLETED, UNREADABLE)
    assert view.unreadable_pages == (2, 3, 4)


class ByCursor:
    """A source of which only a page itself knows the next one."""

    name = "apollo"

    def __init__(self, source: PeopleSource) -> None:
        self._source = source

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        return await self._source.find_people(query, cursor)

    def cursor_behind(self, _cursor: str | None) -> str | None:
        return None


async def test_a_search_by_cursor_ends_at_a_page_that_stays_garbage_and_a_replay_resumes_there(
    world: World,
) -> None:
    world.source = ByCursor(world.source)
    task = await world.start()
    second = next_page(await world.ask(task))

    ending = await world.ask(second, is_garbage=True)
    ended = await world.view(task)
    events = await world.ask(second)

    view = await world.view(task)
    assert ending == [DiscoveryCompleted(task.discovery_run_id, 10, UNREADABLE)]
    assert (ended.state, ended.code) == (DiscoveryState.COMPLETED, UNREADABLE)
    assert ended.unreadable_pages == (2,)
    assert (lead_count(events), next_page(events).page) == (10, 3)
    assert (view.state, view.code, view.unreadable_pages) == (DiscoveryState.RUNNING, None, ())
