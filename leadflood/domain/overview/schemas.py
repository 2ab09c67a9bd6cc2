"""A run in numbers."""

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
