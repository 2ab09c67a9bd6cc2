"""Features as they are computed and read."""

from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class FeaturesComputed(Event, frozen=True, tag="features.snapshot.computed"):
    """A snapshot exists; equal inputs give the same snapshot."""

    lead_id: UUID
    icp_id: UUID
    snapshot_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)
