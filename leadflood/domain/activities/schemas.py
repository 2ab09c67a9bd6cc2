"""Activities: notes, calls, meetings and tasks of a lead."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas.events import LeadEvent

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class ActivityKind(StrEnum):
    """Kinds of activities, done or to be done."""

    NOTE = "note"
    CALL = "call"
    MEETING = "meeting"
    TASK = "task"


class ActivityRecorded(LeadEvent, frozen=True, tag="leads.activity.recorded"):
    """Somebody recorded what they did to a lead; `by` is who."""

    activity_id: UUID
    kind: str
    by: str


class NewActivity(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A new activity; `happenedAt` null: just now."""

    kind: ActivityKind
    text: Text
    happened_at: Instant | None = None


class ActivityEdit(msgspec.Struct, frozen=True, kw_only=True):
    """A correction of an activity; None leaves it."""

    text: str | None = None
    happened_at: datetime | None = None


class ActivityFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of activities; None does not filter."""

    lead_id: UUID | None = None
    kind: str | None = None
    actor: str | None = None
    since: datetime | None = None


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An activity of a lead, by whom (`user:<id>`, `key:<id>`, `operator`) and when.

    Kinds beside note, call, meeting and task are the product's own.
    """

    id: UUID
    version: int
    lead_id: UUID
    kind: str
    text: str
    by: str
    happened_at: datetime
    recorded_at: datetime
    updated_at: datetime
