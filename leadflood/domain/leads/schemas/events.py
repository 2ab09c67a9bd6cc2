"""Events of leads: what happened to one."""

from uuid import UUID

from typing_extensions import override

from leadflood.contracts.values import FieldName
from leadflood.engine.queue.event import Event


class LeadEvent(Event, frozen=True):
    """Something that happened to a lead: its timeline shows it; a stage does it once per run."""

    lead_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.lead_id)


class LeadCreated(LeadEvent, frozen=True, tag="leads.lead.created"):
    """A lead came in by hand, by the API or by a file; `icp_id` is the ICP version to score for."""

    icp_id: UUID


class EnrichmentWanted(LeadEvent, frozen=True, tag="leads.lead.enrichment_wanted"):
    """Somebody wants to know more of a lead that is there; `icp_id` is what to score it for.

    `is_forced`: also what is known is asked for again.
    """

    icp_id: UUID
    is_forced: bool = False


class PersonClaimed(LeadEvent, frozen=True, tag="leads.person.claimed"):
    """The person asked `provider` to be left alone: we leave them alone too (suppression)."""

    provider: str


class RescoreWanted(LeadEvent, frozen=True, tag="leads.lead.rescore_wanted"):
    """Somebody wants a lead scored anew by what is known of it; nothing is asked outside.

    Not `may_draft`: no message is drafted, however well it scores.
    """

    icp_id: UUID
    may_draft: bool = True


class LeadChanged(LeadEvent, frozen=True):
    """Somebody changed a lead; `lead_version` is its version since."""

    lead_version: int

    @override
    def version(self) -> int:
        return self.lead_version


class LeadUpdated(LeadChanged, frozen=True, tag="leads.lead.updated"):
    """A person said what these fields are, or that they are none."""

    fields: tuple[FieldName, ...]


class LeadDeleted(LeadChanged, frozen=True, tag="leads.lead.deleted"):
    """The lead is out of all lists, and nothing is done for it any more."""


class LeadRestored(LeadChanged, frozen=True, tag="leads.lead.restored"):
    """A deleted lead is back."""


class LeadAssigned(LeadChanged, frozen=True, tag="leads.lead.assigned"):
    """The lead has another owner; None: nobody's."""

    owner: str | None


class LeadTagged(LeadChanged, frozen=True, tag="leads.lead.tagged"):
    """The lead's tags are others."""

    tags: tuple[str, ...]


class LeadMerged(LeadChanged, frozen=True, tag="leads.lead.merged"):
    """A person said that a lead is an older one; `lead_id` is the one merged away."""

    survivor_id: UUID


class LeadUnmerged(LeadChanged, frozen=True, tag="leads.lead.unmerged"):
    """A person said that a lead is not the one that it was merged into."""

    survivor_id: UUID
