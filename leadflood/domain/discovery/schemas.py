"""Discovery as it enters, runs and is read."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.ports.people import PeopleQuery
from leadflood.contracts.values import Micros
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.leads.schemas.events import LeadEvent
from leadflood.domain.runs.schemas import Funnel, RunLimits, RunWait
from leadflood.engine.queue.event import Event


class PageWanted(Event, frozen=True, tag="discovery.page.wanted"):
    """The next page of a discovery run is wanted; `cursor` None asks for the first."""

    internal: ClassVar[bool] = True

    discovery_run_id: UUID
    cursor: str | None
    page: int

    @override
    def job_key(self) -> str:
        return str(self.discovery_run_id)


class LeadDiscovered(LeadEvent, frozen=True, tag="discovery.lead.discovered"):
    """A run has found a person; `icp_id` is the ICP version to score for."""

    icp_id: UUID


class DiscoveryCompleted(Event, frozen=True, tag="discovery.run.completed"):
    """The last page is in: as many leads as wanted, or all there are.

    `code` says why the source is asked no further, where that is neither.
    """

    discovery_run_id: UUID
    lead_count: int
    code: str | None = None

    @override
    def subject(self) -> UUID:
        return self.discovery_run_id


class DiscoveryFailed(Event, frozen=True, tag="discovery.run.failed"):
    """The source will not go on; leads found so far do. `code` says why."""

    discovery_run_id: UUID
    code: str

    @override
    def subject(self) -> UUID:
        return self.discovery_run_id


class DiscoveryState(StrEnum):
    """The state of a discovery run; its leads may still be on their way after it."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RecordStatus(StrEnum):
    """The outcome of one record of a page."""

    DISCOVERED = "DISCOVERED"
    DUPLICATE = "DUPLICATE"
    REJECTED = "REJECTED"
    ERROR = "ERROR"


class NewDiscovery(msgspec.Struct, frozen=True, kw_only=True):
    """A discovery to start, for a run that exists already and has this id.

    `request_hash` names all that is asked for, so that the same is found again within a day;
    None: it is not looked for. `owner` is that of its new leads; None: nobody.
    """

    run_id: UUID
    icp_id: UUID
    provider: str
    query: PeopleQuery
    wanted_count: int
    request_hash: bytes | None = None
    owner: str | None = None


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A search that is asked for.

    `icp_id`: the ICP version whose people are searched for.
    `kind`: the kind of its run.
    `provider`: the source.
    `max_leads`: how many leads are enough.
    `limits`: what its run may do.
    `visibility`: of whoever asks: who sees only their own leads owns those that it finds first.
    `is_repeated`: start another run even where the same was asked for within a day.
    """

    icp_id: UUID
    kind: str
    provider: str
    max_leads: int
    limits: RunLimits
    visibility: Visibility = EVERYTHING
    is_repeated: bool = False


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A search ready to begin: its discovery, and its run with all caps resolved."""

    discovery: NewDiscovery
    request_hash: bytes
    kind: str
    limits: RunLimits
    is_repeated: bool


class StartedDiscovery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery goes on; `jobId` is its first page. Not `isNew`: the same was begun before."""

    run_id: UUID
    job_id: UUID
    provider: str
    is_new: bool


class EarlierDiscovery(msgspec.Struct, frozen=True, kw_only=True):
    """A discovery that was started before; `job_id` is its first page."""

    run_id: UUID
    job_id: UUID


class DiscoveryRun(msgspec.Struct, frozen=True, kw_only=True):
    """A discovery as its next page needs it; `next_page` counts from 1.

    `stale_page_count`: how many pages in a row had no person new to this run.
    """

    id: UUID
    icp_id: UUID
    provider: str
    query: PeopleQuery
    state: DiscoveryState
    cursor: str | None
    next_page: int
    next_position: int
    wanted_count: int
    lead_count: int
    stale_page_count: int = 0
    code: str | None = None
    owner: str | None = None


class PageInput(msgspec.Struct, frozen=True):
    """A page to ask for; `is_last_try`: it is not asked for again after this."""

    run: DiscoveryRun
    is_last_try: bool = False


class DiscoveryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery as it is read. `total_count` None: the provider did not say.

    `code` says why it failed, or why a completed one asks its source no further.
    `unreadable_pages` are those whose answers could not be read: the run goes on behind them, or
    ends there with `code`, and a replay of its dead letter asks for the page again.
    """

    id: UUID
    icp_id: UUID
    provider: str
    query: PeopleQuery
    state: DiscoveryState
    code: str | None
    page_count: int
    wanted_count: int
    lead_count: int
    discovered_count: int
    duplicate_count: int
    rejected_count: int
    error_count: int
    cost_micros: Micros
    total_count: int | None
    unreadable_pages: tuple[int, ...]
    created_at: datetime
    updated_at: datetime


class DiscoveryRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One record of a page; `reason` None when there is nothing to explain."""

    position: int
    page: int
    provider: str
    provider_id: str
    status: RecordStatus
    reason: str | None
    lead_id: UUID | None
    excerpt: str | None = None


class RecordView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One record of a page and why it was kept or refused.

    `said` is what this source said of the person as it is kept now; of a refused record an
    excerpt of what it said. `reason` null: there is nothing to explain.
    """

    position: int
    page: int
    provider_id: str
    status: RecordStatus
    reason: str | None
    lead_id: Annotated[UUID | None, needs(Permission.LEADS_READ)]
    said: Annotated[dict[str, str], needs(Permission.LEADS_READ)]


class PageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page: the request, its outcome and its cost.

    `asked` is the request's body as it was sent, secrets masked; empty when nothing was answered.
    `ignored` are parts of the question that this source cannot filter by. `cursor` null: the
    first page. `nextCursor` null: the last. `code` null: it was answered.
    """

    page: int
    cursor: str | None
    asked: str
    ignored: tuple[str, ...]
    next_cursor: str | None
    record_count: int
    discovered_count: int
    duplicate_count: int
    rejected_count: int
    error_count: int
    cost_micros: Micros
    total_count: int | None
    code: str | None
    recorded_at: datetime


class RecordFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of records; a field that is None does not filter.

    `visibility`: whose leads are shown with their records.
    """

    status: RecordStatus | None = None
    page: int | None = None
    visibility: Visibility = EVERYTHING


class DiscoveryInspection(msgspec.Struct, frozen=True, kw_only=True):
    """A discovery, some of its records, and the pages that these are on.

    `pages` are the first ones where there are no records. `has_more`: further records follow.
    """

    discovery: DiscoveryView
    pages: Sequence[PageView]
    records: Sequence[RecordView]
    has_more: bool


class DiscoveryRunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of discovery runs; a field that is None does not filter.

    `state` is that of the whole run, `search_state` that of the search alone.
    """

    icp_ids: tuple[UUID, ...] | None = None
    state: str | None = None
    search_state: str | None = None
    provider: str | None = None
    kind: str | None = None


class DiscoveryRunSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery run in a list: `state` is that of the search, `run_state` of the whole run.

    `code` None: nothing went wrong; `ended_at` None: it goes on.
    """

    id: UUID
    icp_id: UUID
    kind: str
    title: str
    provider: str
    state: str
    run_state: str
    code: str | None
    wanted_count: int
    lead_count: int
    created_at: datetime
    ended_at: datetime | None


class DiscoveryRunDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discovery run: what may be done for it, what its pages brought, how far its leads are.

    `state` is that of the search, `runState` that of the whole run (running, completed,
    cancelled). `code` null: nothing went wrong. `progressRatio` null: nothing is found yet.
    `unreadablePages` are those whose answers could not be read, however often they were asked for.
    `waits`: what the run waits for, as in `GET /v1/runs/{runId}`.
    """

    id: UUID
    icp_id: UUID
    kind: str
    title: str
    provider: str
    state: DiscoveryState
    run_state: str
    code: str | None
    sends: str
    providers: tuple[str, ...] | None
    cap_micros: Micros | None
    lead_cap_micros: Micros | None
    wanted_count: int
    lead_count: int
    page_count: int
    discovered_count: int
    duplicate_count: int
    rejected_count: int
    error_count: int
    total_count: int | None
    unreadable_pages: tuple[int, ...]
    search_cost_micros: Micros
    progress: Funnel
    progress_ratio: float | None
    waits: tuple[RunWait, ...]
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
