"""`discovery.run`: one page of a source becomes leads, records and the wish for the next page."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.people import PeoplePage, PeopleSource
from leadflood.domain.discovery import store
from leadflood.domain.discovery.rules import excerpt_of, goes_on, mask_asked, reason_to_reject
from leadflood.domain.discovery.schemas import (
    DiscoveryCompleted,
    DiscoveryFailed,
    DiscoveryRecord,
    DiscoveryRun,
    DiscoveryState,
    LeadDiscovered,
    PageWanted,
    RecordStatus,
)
from leadflood.domain.leads.schemas import IdentityKey, LeadStatus, NewPerson, Upserted
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotConfigured, NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage
from leadflood.engine.text import make_storable

PagesEnded = Sequence[FinishedTask[PageWanted, PeoplePage]]
_MOST_ID = 400


class _Seen(msgspec.Struct):
    """One record of a page on its way; `person` None when it is refused."""

    provider_id: str
    reason: str | None
    person: FoundPerson | None
    told: str | None = None


class _Page:
    """A page that is committed now: what waits, what was written, who is new to the run."""

    def __init__(
        self, ended: FinishedTask[PageWanted, PeoplePage], run: DiscoveryRun, answer: PeoplePage
    ) -> None:
        self.ended = ended
        self.run = run
        self.answer = answer
        self.records: list[DiscoveryRecord] = []
        self.new_leads: list[UUID] = []
        self._waiting = deque(_look(answer))

    @property
    def lead_count(self) -> int:
        """How many leads the run has with this page."""
        return self.run.lead_count + len(self.new_leads)

    def take(self) -> list[_Seen]:
        """Take as many people as the run still wants, with the refused between them."""
        room = self.run.wanted_count - self.lead_count
        taken: list[_Seen] = []
        while self._waiting and room > 0:
            seen = self._waiting.popleft()
            room -= seen.person is not None
            taken.append(seen)
        return taken

    def settle(self, seen: _Seen, upserted: Upserted | None, known: set[tuple[UUID, UUID]]) -> None:
        """Write down what became of one record."""
        is_first = upserted is not None and (self.run.id, upserted.lead_id) not in known
        if upserted is not None and is_first:
            known.add((self.run.id, upserted.lead_id))
            if not upserted.is_deleted:
                self.new_leads.append(upserted.lead_id)
        status, reason = _status(seen, upserted, is_first=is_first)
        self.records.append(
            DiscoveryRecord(
                position=self.run.next_position + len(self.records),
                page=self.run.next_page,
                provider=self.run.provider,
                provider_id=seen.provider_id,
                status=status,
                reason=reason,
                lead_id=None if upserted is None else upserted.lead_id,
                told=seen.told,
            )
        )

    def advance(self) -> store.Advance:
        """Tell where the run goes on."""
        is_last = not goes_on(self.run, self.answer, self.lead_count)
        return store.Advance(
            run=self.run,
            state=DiscoveryState.COMPLETED if is_last else DiscoveryState.RUNNING,
            next_page=self.run.next_page + 1,
            cursor=self.answer.next_cursor,
            cost_micros=self.answer.cost_micros,
            total_count=self.answer.total,
            lead_count=len(self.new_leads),
            records=self.records,
            asked=mask_asked(self.answer.asked),
            ignored=self.answer.ignored,
        )


class DiscoveryStage(Stage[PageWanted, DiscoveryRun, PeoplePage]):
    """Asks a source for a page; leads, records and the next cursor are committed together."""

    name: ClassVar[str] = "discovery.run"
    task: ClassVar[type[PageWanted]] = PageWanted
    default_policy: ClassVar[Policy] = Policy(concurrency=8, batch=16)

    def __init__(
        self, policy: Policy, sources: Mapping[str, PeopleSource], ids: Ids, clock: Clock
    ) -> None:
        super().__init__(policy)
        self._sources = sources
        self._ids = ids
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ports.sources, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[PageWanted]]
    ) -> Sequence[DiscoveryRun | Outcome[PeoplePage]]:
        runs = await store.find_runs(db, [claimed.task.discovery_run_id for claimed in tasks])
        return [_input(claimed.task, runs) for claimed in tasks]

    @override
    async def work(self, item: DiscoveryRun) -> Outcome[PeoplePage]:
        source = self._sources.get(item.provider)
        if source is None:
            raise NotConfigured(
                f"no source named {item.provider!r} is configured: "
                f"set providers.{item.provider}.api_key, or search with another provider"
            )
        return Done(await source.find_people(item.query, item.cursor))

    @override
    async def commit(self, tx: Tx, ended: PagesEnded) -> Sequence[FollowUp]:
        now = self._clock.now()
        runs = await store.lock_runs(tx, [one.task.discovery_run_id for one in ended])
        pages, failed = _sort(ended, runs)
        await self._record_people(tx, pages, now)
        advances = [page.advance() for page in pages]
        follows = [
            follow
            for page, advance in zip(pages, advances, strict=True)
            for follow in _follow_page(page, advance)
        ]
        for one, run in failed:
            advances.append(_failure(one, run))
            follows += _follow_failure(one)
        if advances:
            await store.advance(tx, advances, now)
        return follows

    async def _record_people(self, tx: Tx, pages: Sequence[_Page], now: datetime) -> None:
        """One round, unless people seen twice leave a run short of what its page still has."""
        while taken := [(page, seen) for page in pages for seen in page.take()]:
            people = [_new_person(seen.person) for _, seen in taken if seen.person is not None]
            upserted = await upsert(tx, people, self._ids, now)
            known = await store.leads_of_runs(
                tx, [page.run.id for page in pages], [one.lead_id for one in upserted]
            )
            known |= {(page.run.id, lead_id) for page in pages for lead_id in page.new_leads}
            found = iter(upserted)
            for page, seen in taken:
                page.settle(seen, None if seen.person is None else next(found), known)


def _input(
    task: PageWanted, runs: Mapping[UUID, DiscoveryRun]
) -> DiscoveryRun | Outcome[PeoplePage]:
    run = runs.get(task.discovery_run_id)
    if run is None:
        return Discard(
            NotFound(
                f"there is no discovery run {task.discovery_run_id}", code="discovery.run.not_found"
            )
        )
    if run.state is not DiscoveryState.RUNNING or run.next_page != task.page:
        return Done(PeoplePage(people=()))
    return run


def _sort(
    ended: PagesEnded, runs: Mapping[UUID, DiscoveryRun]
) -> tuple[list[_Page], list[tuple[FinishedTask[PageWanted, PeoplePage], DiscoveryRun]]]:
    """Tell pages to write from failures; leave out what is committed already."""
    pages: list[_Page] = []
    failed: list[tuple[FinishedTask[PageWanted, PeoplePage], DiscoveryRun]] = []
    done: set[UUID] = set()
    for one in ended:
        run = runs.get(one.task.discovery_run_id)
        if (
            run is None
            or run.id in done
            or run.state is not DiscoveryState.RUNNING
            or run.next_page != one.task.page
        ):
            continue
        done.add(run.id)
        if isinstance(one.outcome, Discard):
            failed.append((one, run))
        else:
            pages.append(_Page(one, run, one.outcome.result))
    return pages, failed


def _look(answer: PeoplePage) -> list[_Seen]:
    seen = []
    for person in answer.people:
        reason = reason_to_reject(person)
        provider_id = _shorten(person.provider_id)
        if reason is None:
            seen.append(_Seen(provider_id, None, person))
        else:
            seen.append(_Seen(provider_id, reason, None, excerpt_of(person)))
    seen += [_Seen(_shorten(name), _shorten(reason), None) for name, reason in answer.refused]
    return seen


def _new_person(person: FoundPerson) -> NewPerson:
    key = leads.provider_key(person.provider, person.provider_id)
    keys: tuple[IdentityKey, ...] = () if key is None else (key,)
    return NewPerson(
        source=person.provider, values=person.values, keys=keys, status=LeadStatus.PROCESSING
    )


def _status(
    seen: _Seen, upserted: Upserted | None, *, is_first: bool
) -> tuple[RecordStatus, str | None]:
    if upserted is None:
        return RecordStatus.REJECTED, seen.reason
    if upserted.is_new:
        return RecordStatus.DISCOVERED, None
    if upserted.is_deleted:
        return RecordStatus.DUPLICATE, "deleted by a person"
    return RecordStatus.DUPLICATE, "known from earlier" if is_first else "seen before in this run"


def _follow_page(page: _Page, advance: store.Advance) -> list[FollowUp]:
    run = page.run
    follows = [
        page.ended.follow_up(LeadDiscovered(lead_id, run.icp_id)) for lead_id in page.new_leads
    ]
    if advance.state is DiscoveryState.RUNNING:
        wanted = PageWanted(run.id, advance.cursor, advance.next_page)
        return [*follows, page.ended.follow_up(wanted)]
    return [*follows, page.ended.follow_up(DiscoveryCompleted(run.id, page.lead_count))]


def _failure(one: FinishedTask[PageWanted, PeoplePage], run: DiscoveryRun) -> store.Advance:
    error = _error_of(one)
    if isinstance(error, Cancelled):
        return store.Advance(
            run=run, state=DiscoveryState.CANCELLED, next_page=run.next_page, is_page=False
        )
    record = DiscoveryRecord(
        position=run.next_position,
        page=run.next_page,
        provider=run.provider,
        provider_id="",
        status=RecordStatus.ERROR,
        reason=_shorten(f"{code_of(error)}: {error}"),
        lead_id=None,
    )
    return store.Advance(
        run=run,
        state=DiscoveryState.FAILED,
        code=code_of(error),
        next_page=run.next_page,
        cursor=run.cursor,
        records=[record],
    )


def _follow_failure(one: FinishedTask[PageWanted, PeoplePage]) -> list[FollowUp]:
    error = _error_of(one)
    if isinstance(error, Cancelled):
        return []
    return [one.follow_up(DiscoveryFailed(one.task.discovery_run_id, code_of(error)))]


def _error_of(one: FinishedTask[PageWanted, PeoplePage]) -> Exception:
    assert isinstance(one.outcome, Discard)  # noqa: S101 - sorted so before
    return one.outcome.error


def _shorten(text: str) -> str:
    return make_storable(text)[:_MOST_ID]
