"""A run in numbers."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.contracts.facts import Scalar
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


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads; None asks for nothing. Text is compared as it is kept."""

    status: LeadStatus | None = None
    band: Band | None = None
    min_milli: int | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    source: str | None = None
    owner: str | None = None
    country: str | None = None
    email: str | None = None
    company_domain: str | None = None


class Total(msgspec.Struct, frozen=True):
    """How many there are in all; exact up to 10,000, an estimate of the table beyond."""

    count: int
    is_estimate: bool


class LeadSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead in a list, with its newest score; the score's fields are None while it has none."""

    id: UUID
    status: LeadStatus
    failed_code: str | None
    source: str
    owner: str | None
    company_id: UUID | None
    values: dict[FieldName, Scalar]
    score: float | None
    band: Band | None
    icp_id: UUID | None
    run_id: UUID | None
    scored_at: datetime | None
    created_at: datetime
    updated_at: datetime


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
