"""Leads as they enter, live and are read."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import Band, FieldName, Micros, Probability
from leadflood.engine.queue.event import Event

HUMAN_SOURCE = "user"
"""The source of what a person typed; it wins over any provider."""

API_SOURCE = "api"
"""The source of what a caller of the API says of a new lead."""

MOST_TAGS = 50
"""How many tags a lead has at most."""


IDENTIFYING = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.COMPANY_DOMAIN,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
    }
)
"""The fields whose values make identity keys."""


class LeadStatus(StrEnum):
    """Where a lead stands."""

    NEW = "new"
    PROCESSING = "processing"
    ENRICHED = "enriched"
    FAILED = "failed"


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


class RescoreWanted(LeadEvent, frozen=True, tag="leads.lead.rescore_wanted"):
    """Somebody wants a lead scored anew by what is known of it; nothing is asked outside."""

    icp_id: UUID


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


class LeadState(msgspec.Struct, frozen=True, kw_only=True):
    """What of a lead's row people change; `owner` None: nobody's, `deleted_at` None: it is there.

    `merged_into` None: it stands for itself.
    """

    id: UUID
    version: int
    owner: str | None = None
    tags: tuple[str, ...] = ()
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    merged_into: UUID | None = None

    def tags_with(self, tag: str) -> tuple[str, ...]:
        """Return the tags with one more, in the order of the alphabet."""
        return self.tags if tag in self.tags else tuple(sorted((*self.tags, tag)))

    def tags_without(self, tag: str) -> tuple[str, ...]:
        """Return the tags but for one."""
        return tuple(name for name in self.tags if name != tag)


class DeletedLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that somebody deleted, as it was known; null: not known, or nobody's."""

    id: UUID
    version: int
    full_name: str | None
    email: str | None
    company_name: str | None
    owner: str | None
    tags: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str | None


MAX_KEY = 400


class IdentityKey(msgspec.Struct, frozen=True, order=True):
    """What makes two records one lead: `provider:NAME`, `email`, `linkedin`, `name_domain`."""

    kind: str
    value: str


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person as somebody names it; `keys` beside those that follow from the values."""

    source: str
    values: tuple[FoundValue, ...]
    keys: tuple[IdentityKey, ...] = ()
    status: LeadStatus = LeadStatus.NEW


class Upserted(msgspec.Struct, frozen=True):
    """Which lead a person is; `is_deleted`: somebody deleted it, so nothing is done for it.

    `new_keys` are those that a known lead got by it, `merged` the leads that turned out to be it.
    """

    lead_id: UUID
    is_new: bool
    is_deleted: bool = False
    new_keys: tuple[IdentityKey, ...] = ()
    merged: tuple[UUID, ...] = ()


class LeadValues(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned of a lead, and how it stands now; `status` None leaves it as it is.

    `keys` are identity keys not known before; `failed_code` goes with status failed only.
    """

    lead_id: UUID
    values: tuple[FoundValue, ...] = ()
    keys: tuple[IdentityKey, ...] = ()
    status: LeadStatus | None = None
    failed_code: str | None = None


class ResolvedLead(msgspec.Struct, frozen=True):
    """Which lead a lead is now; `merged_now` lists the leads that this transaction merged away."""

    lead_id: UUID
    survivor_id: UUID
    merged_now: tuple[UUID, ...] = ()


class NewScore(msgspec.Struct, frozen=True, kw_only=True):
    """A score that was just kept; `score_id` orders the scores of a lead."""

    lead_id: UUID
    score_id: UUID
    score_milli: int
    band: Band
    icp_id: UUID
    run_id: UUID | None
    scored_at: datetime


class ProfileValue(msgspec.Struct, frozen=True, kw_only=True):
    """A stored value with its evidence; `id` is what a message's fact points to."""

    id: UUID
    subject_id: UUID
    field: FieldName
    value: Scalar
    source: str
    method: str
    observed_at: datetime
    confidence: Probability
    evidence_hash: str
    is_human: bool


class LeadProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A lead as it is known now: the winning value of each field, of it and all merged into it.

    `lead_id` is the survivor; `members` are all leads that are this one, the survivor first.
    `settled` are the fields that a person has decided, also those that they said are none.
    `is_deleted`: nothing is done for it any more.
    """

    lead_id: UUID
    version: int
    status: LeadStatus
    failed_code: str | None
    company_id: UUID | None
    members: tuple[UUID, ...]
    values: dict[FieldName, ProfileValue]
    provider_ids: dict[str, str]
    settled: frozenset[FieldName] = frozenset()
    is_deleted: bool = False

    def get(self, field: FieldName) -> Scalar | None:
        """Return the winning value of a field, if there is one."""
        winner = self.values.get(field)
        return None if winner is None else winner.value

    def text(self, field: FieldName) -> str:
        """Return the winning value of a field as text; empty when there is none."""
        value = self.get(field)
        return "" if value is None else str(value)


class HistoryValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One value ever stored, winning or not, as it is shown; null: a person says there is none."""

    id: UUID
    field: FieldName
    value: Scalar | None
    source: str
    method: str
    observed_at: datetime
    recorded_at: datetime
    confidence: Probability
    cost_micros: Micros
    evidence_hash: str
    is_current: bool
    is_human: bool
    lead_id: UUID | None
    company_id: UUID | None


class MergedLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that turned out to be another one."""

    lead_id: UUID
    merged_into: UUID
    reason: str
    by: str
    at: datetime


class LeadView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead with everything known of it and where each value comes from."""

    id: UUID
    version: int
    status: LeadStatus
    failed_code: str | None
    source: str
    owner: str | None
    tags: tuple[str, ...]
    company_id: UUID | None
    created_at: datetime
    updated_at: datetime
    values: dict[FieldName, Scalar]
    provenance: tuple[HistoryValue, ...]
    keys: tuple[IdentityKey, ...]
    merged: tuple[MergedLead, ...]


class LeadMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead is in; `jobId` is its first step, `runId` the whole of its way."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


class OptInEvidence(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What proves that a person agreed to be written to on a channel.

    `wording` is the text they agreed to, `source` where that was: a form's address, a file, a
    call. `obtainedAt` null: now.
    """

    wording: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    obtained_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class OptInInput(
    OptInEvidence, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A channel that the person has agreed to, with what proves it."""

    channel: Annotated[str, msgspec.Meta(max_length=40)]


OptIns = Annotated[tuple[OptInInput | str, ...], msgspec.Meta(max_length=10)]


class LeadInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A lead as the API takes it. Empty means not known.

    Something that tells who it is must be there: an e-mail, a LinkedIn address, or a name with
    the company's domain. `opt_in` lists the channels the person has agreed to, each with what
    proves it; of a channel that is named alone, the request itself is the evidence.
    """

    email: str = ""
    first_name: str = ""
    last_name: str = ""
    full_name: str = ""
    title: str = ""
    phone: str = ""
    linkedin_url: str = ""
    city: str = ""
    country: str = ""
    company_name: str = ""
    company_domain: str = ""
    company_industry: str = ""
    company_size: int | str = ""
    company_country: str = ""
    company_technologies: tuple[str, ...] = ()
    opt_in: OptIns = ()


Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Said = Line | msgspec.UnsetType | None
Technologies = Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=200)]


class LeadChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What a person says of a lead. Left out: stays as it is; null: there is none.

    A person's word wins over any provider's, also the word that there is no value. What it takes
    the place of stays in the history.
    """

    email: Said = msgspec.UNSET
    first_name: Said = msgspec.UNSET
    last_name: Said = msgspec.UNSET
    full_name: Said = msgspec.UNSET
    title: Said = msgspec.UNSET
    phone: Said = msgspec.UNSET
    linkedin_url: Said = msgspec.UNSET
    city: Said = msgspec.UNSET
    country: Said = msgspec.UNSET
    company_name: Said = msgspec.UNSET
    company_domain: Said = msgspec.UNSET
    company_industry: Said = msgspec.UNSET
    company_size: Annotated[int, msgspec.Meta(ge=1, le=10**8)] | Said = msgspec.UNSET
    company_country: Said = msgspec.UNSET
    company_technologies: Technologies | msgspec.UnsetType | None = msgspec.UNSET


class TagCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tag and how many leads have it; beyond 10,000 the count stops and is a least."""

    tag: str
    lead_count: int
    is_at_least: bool


class LeadLoss(msgspec.Struct, frozen=True, kw_only=True):
    """What a lead that stays loses.

    - `keys`: identity keys that are its own no more.
    - `tags`: tags that it has no more.
    - `merged`: leads that are no longer the same.
    - `has_lost_domain`: whether what said where it works was deleted.
    """

    lead_id: UUID
    keys: tuple[IdentityKey, ...] = ()
    tags: frozenset[str] = frozenset()
    merged: frozenset[UUID] = frozenset()
    has_lost_domain: bool = False
