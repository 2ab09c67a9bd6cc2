"""Labels: the outcome of a lead, with the score it is a verdict on."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas.events import LeadEvent

USER_SOURCE = "user"


class Kind(StrEnum):
    """The question that an outcome answers; of a lead's answers to it the newest counts."""

    DEAL = "deal"
    MEETING = "meeting"
    REPLY = "reply"
    FIT = "fit"
    PERSON = "person"
    DELIVERY = "delivery"


class Outcome(StrEnum):
    """The outcome of a lead."""

    WON = "won"
    LOST = "lost"
    MEETING = "meeting"
    NO_SHOW = "no_show"
    REPLIED = "replied"
    NOT_INTERESTED = "not_interested"
    GOOD_FIT = "good_fit"
    BAD_FIT = "bad_fit"
    RIGHT_PERSON = "right_person"
    WRONG_PERSON = "wrong_person"
    DELIVERED = "delivered"
    BOUNCED = "bounced"


KINDS: Mapping[Outcome, Kind] = MappingProxyType(
    {
        Outcome.WON: Kind.DEAL,
        Outcome.LOST: Kind.DEAL,
        Outcome.MEETING: Kind.MEETING,
        Outcome.NO_SHOW: Kind.MEETING,
        Outcome.REPLIED: Kind.REPLY,
        Outcome.NOT_INTERESTED: Kind.REPLY,
        Outcome.GOOD_FIT: Kind.FIT,
        Outcome.BAD_FIT: Kind.FIT,
        Outcome.RIGHT_PERSON: Kind.PERSON,
        Outcome.WRONG_PERSON: Kind.PERSON,
        Outcome.DELIVERED: Kind.DELIVERY,
        Outcome.BOUNCED: Kind.DELIVERY,
    }
)
"""Which question each outcome answers."""


class LabelRecorded(LeadEvent, frozen=True, tag="learning.label.recorded"):
    """A person recorded the outcome of a lead."""

    label_id: UUID
    kind: str
    outcome: str


class NewLabel(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome to record; `icp_id` None: of the newest score. `happened_at` None: now."""

    lead_id: UUID
    outcome: Outcome
    by: str
    note: str = ""
    happened_at: datetime | None = None
    icp_id: UUID | None = None
    source: str = USER_SOURCE


class Label(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The outcome of a lead, by whom, and its score at that time.

    `predictionId`, `snapshotId`, `icpId`, `score` null: it had no score then. `isCurrent`: the
    newest of its kind, the one that counts.
    """

    id: UUID
    lead_id: UUID
    kind: Kind
    outcome: Outcome
    note: str
    happened_at: datetime
    source: str
    recorded_by: str
    recorded_at: datetime
    icp_id: UUID | None
    prediction_id: UUID | None
    snapshot_id: UUID | None
    score: float | None
    is_current: bool
