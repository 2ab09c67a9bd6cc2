"""A run in numbers."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName, Micros
from leadflood.domain.leads.schemas import LeadStatus


class Funnel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many leads of a run got how far. `merged` ones turned out to be another lead found."""

    found: int
    merged: int
    enriched: int
    failed: int
    scored: int
    high: int
    medium: int
    low: int
    drafted: int
    waiting: int
    needs_data: int
    not_wanted: int
    intended: int
    ready: int
    sending: int
    accepted: int
    refused: int
    unknown: int
    cancelled: int
    live_jobs: int
    spent_micros: Micros
    reserved_micros: Micros
    unresolved_micros: Micros


class LeadCost(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent on one lead in a run."""

    lead_id: UUID
    micros: Micros
    providers: tuple[str, ...]


class LeadRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one provider said of a lead once: found it (`discovery`) or added to it (`enrichment`).

    `code` is why it said nothing or was not asked to the end; None when there is nothing to tell.
    """

    kind: str
    run_id: UUID
    provider: str
    state: str
    code: str | None
    is_found: bool
    is_cached: bool
    cost_micros: Micros
    at: datetime


class LeadSort(StrEnum):
    """How leads are ordered; equals by id. A lead without a score is below all that have one."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    BEST = "-score"
    WORST = "score"
    LATEST = "-updatedAt"
    NAME = "name"


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads; None asks for nothing. Text is compared as it is kept.

    `tags`: all of them. With an ICP or a run, scores are those for it. `seen_by`: only what this
    owner has, whatever else is asked. `q` is what a person typed.
    """

    status: LeadStatus | None = None
    band: Band | None = None
    min_milli: int | None = None
    max_milli: int | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    source: str | None = None
    owner: str | None = None
    is_unowned: bool = False
    seen_by: str | None = None
    country: str | None = None
    tags: tuple[str, ...] = ()
    email: str | None = None
    company_domain: str | None = None
    company_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    q: str | None = None


class LeadPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a lead stands in every sort: its id, change, score (-1: none) and name."""

    id: UUID
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    milli: Annotated[int, msgspec.Meta(ge=-1, le=100_000)]
    name: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]


class LeadPaging(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: so many from behind a place (None: from the beginning)."""

    sort: LeadSort = LeadSort.NEWEST
    after: LeadPlace | None = None
    offset: int = 0
    limit: int = 50


class Total(msgspec.Struct, frozen=True):
    """How many there are in all; exact up to 10,000, an estimate of the table beyond."""

    count: int
    is_estimate: bool


class LeadSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead in a list, with its newest score; the score's fields are None while it has none.

    `values` holds what is shown of a lead (name, title, e-mail, company, country) where known;
    `GET /v1/leads/{leadId}` tells all.
    """

    id: UUID
    version: int
    status: LeadStatus
    failed_code: str | None
    source: str
    owner: str | None
    tags: tuple[str, ...]
    company_id: UUID | None
    values: dict[FieldName, Scalar]
    score: float | None
    band: Band | None
    icp_id: UUID | None
    run_id: UUID | None
    scored_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ExportFormat(StrEnum):
    """As what leads are exported: for spreadsheets, as one JSON array, or JSON a line."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


class ExportedLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead in an export; the names are the headers of the CSV, in this order, and stay so."""

    id: UUID
    status: LeadStatus
    failed_code: str | None
    full_name: str | None
    title: str | None
    email: str | None
    company_name: str | None
    company_domain: str | None
    country: str | None
    score: float | None
    band: Band | None
    icp_id: UUID | None
    run_id: UUID | None
    scored_at: datetime | None
    source: str
    owner: str | None
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class ListedLead(msgspec.Struct, frozen=True):
    """A lead in a list and its place there."""

    lead: LeadSummary
    place: LeadPlace


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which discovery runs; None asks for nothing. `search_state` is that of the search alone."""

    icp_ids: tuple[UUID, ...] | None = None
    state: str | None = None
    search_state: str | None = None
    provider: str | None = None
    kind: str | None = None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
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


class LeadEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to a lead; `run_id` None: outside a run."""

    id: UUID
    type: str
    at: datetime
    lead_id: UUID
    run_id: UUID | None
    payload: dict[str, Any]
