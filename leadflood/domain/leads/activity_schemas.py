"""What people do to leads beside changing them: notes, calls, meetings, tasks."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas import LeadEvent


class ActivityKind(StrEnum):
    """What somebody did, or is to do."""

    NOTE = "note"
    CALL = "call"
    MEETING = "meeting"
    TASK = "task"


class ActivityRecorded(LeadEvent, frozen=True, tag="leads.activity.recorded"):
    """Somebody told what he did to a lead; `by` is who."""

    activity_id: UUID
    kind: str
    by: str


class ActivityFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which activities; None asks for nothing. `seen_by`: only of leads of this owner."""

    lead_id: UUID | None = None
    kind: str | None = None
    actor: str | None = None
    since: datetime | None = None
    seen_by: str | None = None


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was done to a lead, by whom (`user:<id>`, `key:<id>`, `operator`) and when.

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
