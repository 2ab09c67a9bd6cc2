"""Enrichment as it runs and is read."""

from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class LeadEnriched(Event, frozen=True, tag="enrichment.lead.enriched"):
    """The waterfall is through; `lead_id` is the survivor when identity was settled by a merge."""

    lead_id: UUID
    icp_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)


class EnrichmentFailed(Event, frozen=True, tag="enrichment.lead.failed"):
    """The lead cannot go on; `code` says why."""

    lead_id: UUID
    icp_id: UUID
    code: str

    @override
    def subject(self) -> UUID:
        return self.lead_id
