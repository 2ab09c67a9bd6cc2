"""`discovery.run`: one page of a source becomes leads, records and the wish for the next page."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.errors import ProviderChanged
from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.people import PeoplePage, PeopleSource
from leadflood.domain.discovery import repository
from leadflood.domain.discovery.rules import (
    LOOPS,
    MOST_STALE_PAGES,
    UNREADABLE,
    Candidate,
    candidates_of,
    count_stale_pages,
    has_next_page,
    mask_request,
    shorten,
    status_of,
)
from leadflood.domain.discovery.schemas import (
    DiscoveryCompleted,
    DiscoveryFailed,
    DiscoveryRecord,
    DiscoveryRun,
    DiscoveryState,
    LeadDiscovered,
    PageInput,
    PageWanted,
    RecordStatus,
)
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson, Upserted
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotConfigured, NotFound, Transient, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

FinishedPages = Sequence[FinishedTask[PageWanted, PeoplePage]]


class _Page:
    """A page that is being committed: candidates, records, leads that are new to the run."""

    def __init__(
        self, finished: FinishedTask[PageWanted, PeoplePage], run: DiscoveryRun, answer: PeoplePage
    ) -> None:
        self.finished = finished
        self.run = run
        self.answer = answer
        self.records: list[DiscoveryRecord] = []
        if answer.unreadable is not None:
            self.records.append(_error_record(run, f"{UNREADABLE}: {answer.unreadable}"))
        self.new_leads: list[UUID] = []
        self.has_new_person = False
        self._waiting = deque(candidates_of(answer))

    @property
    def lead_count(self) -> int:
        """How many leads the run has with this page."""
        return self.run.lead_count + len(self.new_leads)

    def next_candidates(self) -> list[Candidate]:
        """Return as many people as the run still wants, with the refused between them."""
        room = self.run.wanted_count - self.lead_count
        candidates: list[Candidate] = []
        while self._waiting and room > 0:
            candidate = self._waiting.popleft()
            room -= candidate.person is not None
            candidates.append(candidate)
        return candidates

    def record(
        self, candidate: Candidate, upserted: Upserted | None, existing: set[tuple[UUID, UUID]]
    ) -> None:
        """Record what became of a candidate; `existing` are the leads that runs have already."""
        is_first = upserted is not None and (self.run.id, upserted.lead_id) not in existing
        if upserted is not None and is_first:
            existing.add((self.run.id, upserted.lead_id))
            self.has_new_person = True
            if not upserted.is_deleted:
                self.new_leads.append(upserted.lead_id)
        status, reason = status_of(candidate, upserted, is_first=is_first)
        self.records.append(
            DiscoveryRecord(
                position=self.run.next_position + len(self.records),
                page=self.run.next_page,
                provider=self.run.provider,
                provider_id=candidate.provider_id,
                status=status,
                reason=reason,
                lead_id=None if upserted is None else upserted.lead_id,
                excerpt=candidate.excerpt,
            )
        )

    def advance(self) -> repository.Advance:
        """Return where the run goes on."""
        has_next = has_next_page(self.run, self.answer, self.lead_count)
        stale_page_count = count_stale_pages(self.run, has_new_person=self.has_new_person)
        is_looping = has_next and stale_page_count >= MOST_STALE_PAGES
        is_last = is_looping or not has_next
        return repository.Advance(
            run=self.run,
            state=DiscoveryState.COMPLETED if is_last else DiscoveryState.RUNNING,
            code=LOOPS if is_looping else None,
            page_code=None if self.answer.unreadable is None else UNREADABLE,
            next_page=self.run.next_page + 1,
            stale_page_count=stale_page_count,
            cursor=self.answer.next_cursor,
            cost_micros=self.answer.cost_micros,
            total_count=self.answer.total,
            lead_count=len(self.new_leads),
            records=self.records,
            request=mask_request(self.answer.asked),
            ignored=self.answer.ignored,
        )


class DiscoveryStage(Stage[PageWanted, PageInput, PeoplePage]):
    """Asks a source for a page; leads, records and the next cursor are committed together.

    An answer that cannot be read is asked for again, with pauses, as often as a source that is
    away. A page that stays so is skipped where its source counts pages; where only the page knows
    the next one, or several in a row stay so, the search ends there: `_failure`.
    """

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
    ) -> Sequence[PageInput | Outcome[PeoplePage]]:
        runs = await repository.find_runs(db, [claimed.task.discovery_run_id for claimed in tasks])
        return [self._input(claimed, runs) for claimed in tasks]

    @override
    async def work(self, item: PageInput) -> Outcome[PeoplePage]:
        run = item.run
        source = self._sources.get(run.provider)
        if source is None:
            raise NotConfigured(
                f"no source named {run.provider!r} is configured: "
                f"set providers.{run.provider}.api_key, or search with another provider"
            )
        try:
            return Done(await source.find_people(run.query, run.cursor))
        except ProviderChanged as error:
            if not item.is_last_try:
                raise Transient(error.detail, code=error.error_code) from error
            next_cursor = source.cursor_behind(run.cursor)
            if next_cursor is None or run.stale_page_count + 1 >= MOST_STALE_PAGES:
                raise
            return Done(PeoplePage(people=(), next_cursor=next_cursor, unreadable=error.detail))

    @override
    async def commit(self, tx: Tx, tasks: FinishedPages) -> Sequence[FollowUp]:
        now = self._clock.now()
        runs = await repository.lock_runs(
            tx, [finished.task.discovery_run_id for finished in tasks]
        )
        pages, failures = _sort(tasks, runs)
        await self._record_people(tx, pages, now)
        advances = [page.advance() for page in pages]
        follow_ups = [
            follow_up
            for page, advance in zip(pages, advances, strict=True)
            for follow_up in _follow_page(page, advance)
        ]
        for finished, run in failures:
            advances.append(_failure(finished, run))
            follow_ups += _follow_failure(finished, run)
        if advances:
            await repository.record_advances(tx, advances, now)
        return follow_ups

    async def _record_people(self, tx: Tx, pages: Sequence[_Page], now: datetime) -> None:
        """One round, unless people seen twice leave a run short of what its page still has."""
        while candidates := [
            (page, candidate) for page in pages for candidate in page.next_candidates()
        ]:
            people = [
                _new_person(candidate.person)
                for _, candidate in candidates
                if candidate.person is not None
            ]
            upserted = await upsert(tx, people, self._ids, now)
            pages_of_people = [page for page, candidate in candidates if candidate.person]
            await _give_to_owners(tx, pages_of_people, upserted, now)
            existing = await repository.find_leads_of_runs(
                tx, [page.run.id for page in pages], [lead.lead_id for lead in upserted]
            )
            existing |= {(page.run.id, lead_id) for page in pages for lead_id in page.new_leads}
            results = iter(upserted)
            for page, candidate in candidates:
                page.record(
                    candidate, None if candidate.person is None else next(results), existing
                )

    def _input(
        self, claimed: ClaimedTask[PageWanted], runs: Mapping[UUID, DiscoveryRun]
    ) -> PageInput | Outcome[PeoplePage]:
        run_id = claimed.task.discovery_run_id
        run = runs.get(run_id)
        if run is None:
            return Discard(
                NotFound(f"there is no discovery run {run_id}", code="discovery.run.not_found")
            )
        if not _is_next(run, claimed.task):
            return Done(PeoplePage(people=()))
        return PageInput(run, is_last_try=claimed.attempts + 1 >= self.policy.attempts)


async def _give_to_owners(
    tx: Tx, pages: Sequence[_Page], upserted: Sequence[Upserted], now: datetime
) -> None:
    """Give the new leads of each page to the owner that its run has for them."""
    owners = {
        lead.lead_id: page.run.owner
        for page, lead in zip(pages, upserted, strict=True)
        if lead.is_new and page.run.owner is not None
    }
    if not owners:
        return
    before = list((await leads.lock_states(tx, owners)).values())
    after = [msgspec.structs.replace(state, owner=owners[state.id]) for state in before]
    await leads.write_states(tx, before, after, "discovery", now)


def _is_next(run: DiscoveryRun, task: PageWanted) -> bool:
    """Whether a page is the one that its run waits for, or ended at: a replay asks for it."""
    is_open = run.state in {DiscoveryState.RUNNING, DiscoveryState.FAILED}
    return (is_open or run.code == UNREADABLE) and run.next_page == task.page


def _sort(
    tasks: FinishedPages, runs: Mapping[UUID, DiscoveryRun]
) -> tuple[list[_Page], list[tuple[FinishedTask[PageWanted, PeoplePage], DiscoveryRun]]]:
    """Separate pages to write from failures; leave out what is committed already."""
    pages: list[_Page] = []
    failures: list[tuple[FinishedTask[PageWanted, PeoplePage], DiscoveryRun]] = []
    sorted_runs: set[UUID] = set()
    for finished in tasks:
        run = runs.get(finished.task.discovery_run_id)
        if run is None or run.id in sorted_runs or not _is_next(run, finished.task):
            continue
        sorted_runs.add(run.id)
        if isinstance(finished.outcome, Discard):
            failures.append((finished, run))
        else:
            pages.append(_Page(finished, run, finished.outcome.result))
    return pages, failures


def _new_person(person: FoundPerson) -> NewPerson:
    key = leads.provider_key(person.provider, person.provider_id)
    keys: tuple[IdentityKey, ...] = () if key is None else (key,)
    return NewPerson(
        source=person.provider, values=person.values, keys=keys, status=LeadStatus.PROCESSING
    )


def _follow_page(page: _Page, advance: repository.Advance) -> list[FollowUp]:
    run = page.run
    follow_ups = [
        page.finished.follow_up(LeadDiscovered(lead_id, run.icp_id)) for lead_id in page.new_leads
    ]
    if advance.state is DiscoveryState.RUNNING:
        next_page = PageWanted(run.id, advance.cursor, advance.next_page)
        return [*follow_ups, page.finished.follow_up(next_page)]
    return [
        *follow_ups,
        page.finished.follow_up(DiscoveryCompleted(run.id, page.lead_count, advance.code)),
    ]


def _failure(
    finished: FinishedTask[PageWanted, PeoplePage], run: DiscoveryRun
) -> repository.Advance:
    error = _error_of(finished)
    if isinstance(error, Cancelled):
        return repository.Advance(
            run=run, state=DiscoveryState.CANCELLED, next_page=run.next_page, is_page=False
        )
    is_unreadable = isinstance(error, ProviderChanged)
    code = UNREADABLE if is_unreadable else code_of(error)
    return repository.Advance(
        run=run,
        state=DiscoveryState.COMPLETED if is_unreadable else DiscoveryState.FAILED,
        code=code,
        next_page=run.next_page,
        cursor=run.cursor,
        records=[_error_record(run, f"{code}: {error}")],
    )


def _error_record(run: DiscoveryRun, reason: str) -> DiscoveryRecord:
    return DiscoveryRecord(
        position=run.next_position,
        page=run.next_page,
        provider=run.provider,
        provider_id="",
        status=RecordStatus.ERROR,
        reason=shorten(reason),
        lead_id=None,
    )


def _follow_failure(
    finished: FinishedTask[PageWanted, PeoplePage], run: DiscoveryRun
) -> list[FollowUp]:
    error = _error_of(finished)
    if isinstance(error, Cancelled):
        return []
    if isinstance(error, ProviderChanged):
        return [finished.follow_up(DiscoveryCompleted(run.id, run.lead_count, UNREADABLE))]
    return [finished.follow_up(DiscoveryFailed(run.id, code_of(error)))]


def _error_of(finished: FinishedTask[PageWanted, PeoplePage]) -> Exception:
    assert isinstance(finished.outcome, Discard)  # noqa: S101 - sorted so before
    return finished.outcome.error
