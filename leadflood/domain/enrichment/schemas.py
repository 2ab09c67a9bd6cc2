"""Enrichment: settings, events, and what providers were asked and had."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName, Micros, Probability
from leadflood.domain.leads.schemas.events import LeadEvent

SUPPRESSED_CODE = "suppressed"
"""The end of a lead that may be written to on no channel: it goes on with what is known of it."""
CLAIMED_CODE = "enrichment.person.claimed"
"""The failure of a lead whose person asked a provider to be left alone."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which providers are asked, in which order, and for what.

    `order` names providers; those it leaves out are not asked.
    `fields` are those worth paying for.
    `weak_confidence`: a value whose confidence has decayed below it is asked for again.
    `verify`: whether addresses are verified.
    `verify_patience_seconds` is how long a slow e-mail check is waited for before the lead goes on
    without it.
    `longest_turn_seconds` is how long our own pacing is waited for before the next provider is
    asked instead.
    """

    order: tuple[str, ...] = ()
    fields: tuple[FieldName, ...] = (
        FieldName.EMAIL,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.TITLE,
        FieldName.COMPANY_NAME,
        FieldName.COMPANY_DOMAIN,
        FieldName.COMPANY_INDUSTRY,
        FieldName.COMPANY_SIZE,
        FieldName.COMPANY_COUNTRY,
    )
    weak_confidence: Probability = 0.5
    verify: bool = True
    verify_patience_seconds: float = 600.0
    longest_turn_seconds: float = 60.0


class LeadEnriched(LeadEvent, frozen=True, tag="enrichment.lead.enriched"):
    """The waterfall is through; `lead_id` is the survivor when identity was settled by a merge."""

    icp_id: UUID


class EnrichmentFailed(LeadEvent, frozen=True, tag="enrichment.lead.failed"):
    """The lead cannot go on; `code` says why."""

    icp_id: UUID
    code: str


class LeadsMerged(LeadEvent, frozen=True, tag="enrichment.lead.merged"):
    """The new values show that a lead is an older one; `lead_id` is the one merged away."""

    survivor_id: UUID


class EnrichmentState(StrEnum):
    """The state of the request to one provider, or of the whole waterfall of a lead."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class ProviderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The request to one provider for one lead.

    `state` and `code`: COMPLETED, or FAILED with the code of the error.
    `is_found`: the provider knows the person; `is_cached`: the answer was stored before.
    `asked_fields` are those asked for, `found_fields` those of them that it had.
    """

    provider: str
    state: EnrichmentState
    asked_at: datetime
    code: str | None = None
    is_found: bool = False
    is_cached: bool = False
    cost_micros: Micros = 0
    asked_fields: tuple[FieldName, ...] = ()
    found_fields: tuple[FieldName, ...] = ()


class EnrichmentResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the waterfall.

    `values` are all that providers had, winning or not.
    `provider_ids` are (provider, its id for the person).
    `records` are the requests to providers.
    `exhausted`: the budget of the run or lead ended the paid part.
    `claimed_by` names the provider that the person has opted out of; nobody else is asked either.
    `is_suppressed`: nobody was asked, for nothing may be sent to the person.
    """

    values: tuple[FoundValue, ...] = ()
    provider_ids: tuple[tuple[str, str], ...] = ()
    records: tuple[ProviderRecord, ...] = ()
    exhausted: bool = False
    claimed_by: str | None = None
    is_suppressed: bool = False


class WaterfallStat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often a provider was asked for a field and had it."""

    provider: str
    field: FieldName
    asked_count: int
    found_count: int
