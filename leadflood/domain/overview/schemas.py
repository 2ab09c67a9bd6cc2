"""A run in numbers."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Micros


class Funnel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many leads of a run got how far. `final` leads need nothing more from the machine."""

    found: int
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
