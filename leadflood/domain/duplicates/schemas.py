"""Possible duplicates, what decides about them, and their events."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName, Probability
from leadflood.domain.leads.schemas.events import LeadEvent


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How duplicates are looked for.

    `look_seconds`: how often changed leads are compared with the others.
    `least_score`: the score from which on a pair is shown.
    """

    look_seconds: float = 2.0
    least_score: Probability = 0.4


class DuplicateState(StrEnum):
    """`open`: nobody has decided. `different`: a person said that they are two."""

    OPEN = "open"
    DIFFERENT = "different"


class DuplicateLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of two leads that may be one, as it is known; `owner` null: nobody's."""

    id: UUID
    version: int
    owner: str | None
    source: str
    created_at: datetime
    values: dict[FieldName, Scalar]


class DuplicateView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two leads that may be one, side by side; `lead` is the older one, which would stand for both.

    `score`: how likely they are one, from 0 to 1. `reasons`: what they have in common, and what
    tells them apart. `decidedAt`, `decidedBy` null: nobody has decided.
    """

    id: UUID
    state: DuplicateState
    score: Probability
    reasons: tuple[str, ...]
    lead: DuplicateLead
    other: DuplicateLead
    found_at: datetime
    decided_at: datetime | None
    decided_by: str | None


class DuplicateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which pairs; `lead_id` None: of any lead."""

    state: DuplicateState = DuplicateState.OPEN
    lead_id: UUID | None = None


class DuplicateSuspected(LeadEvent, frozen=True, tag="leads.duplicate.suspected"):
    """A lead may be another one that is known; `lead_id` is the younger of both."""

    duplicate_id: UUID


class LeadsToldApart(LeadEvent, frozen=True, tag="leads.duplicate.told_apart"):
    """A person said that a lead is not the other one."""

    duplicate_id: UUID
