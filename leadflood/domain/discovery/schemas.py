"""Discovery as it enters, runs and is read."""

from typing import ClassVar
from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class PageWanted(Event, frozen=True, tag="discovery.page.wanted"):
    """The next page of a discovery run is wanted; `cursor` None asks for the first."""

    internal: ClassVar[bool] = True

    discovery_run_id: UUID
    cursor: str | None
    page: int

    @override
    def job_key(self) -> str:
        return str(self.discovery_run_id)


class LeadDiscovered(Event, frozen=True, tag="discovery.lead.discovered"):
    """A run has found a person; `icp_id` is the ICP version to score for."""

    lead_id: UUID
    icp_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)
