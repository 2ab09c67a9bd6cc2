"""Leads as they enter, live and are read."""

from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class LeadCreated(Event, frozen=True, tag="leads.lead.created"):
    """A lead came in by hand, by the API or by a file; `icp_id` is the ICP version to score for."""

    lead_id: UUID
    icp_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)
