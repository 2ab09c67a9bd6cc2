"""Scores as they are computed and read."""

from typing import ClassVar
from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class LeadScored(Event, frozen=True, tag="scoring.lead.scored"):
    """A lead has a score for an ICP version; points are 1/1000."""

    lead_id: UUID
    icp_id: UUID
    prediction_id: UUID
    score_milli: int
    band: str

    @override
    def subject(self) -> UUID:
        return self.lead_id


class LeadQualified(Event, frozen=True, tag="scoring.lead.qualified"):
    """A lead scored HIGH: it gets a draft."""

    internal: ClassVar[bool] = True

    lead_id: UUID
    icp_id: UUID
    prediction_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)
