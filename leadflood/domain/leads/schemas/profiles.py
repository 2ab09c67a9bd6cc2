"""Leads as they are known and shown."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.channel_addresses import find_address
from leadflood.contracts.values import Band, Channel, FieldName, Micros, Probability
from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.domain.leads.schemas.lead_states import LeadStatus


class NewScore(msgspec.Struct, frozen=True, kw_only=True):
    """A score that was just stored.

    `source_version` is the version of the lead that was scored: it orders the scores of a lead,
    and of one version `score_id` does.
    """

    lead_id: UUID
    score_id: UUID
    source_version: int
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
    `member_values`: what each lead of several that are one has by itself.
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
    member_values: tuple[dict[FieldName, Scalar], ...] = ()

    def list_addresses(self, channel: Channel) -> list[str]:
        """List what the leads that are one are written to on a channel, each by itself."""
        addresses = (find_address(channel, values) for values in self.member_values)
        return [address for address in addresses if address]

    def get(self, field: FieldName) -> Scalar | None:
        """Return the winning value of a field, if there is one."""
        winner = self.values.get(field)
        return None if winner is None else winner.value

    def address(self, channel: Channel) -> str:
        """Return the address that a channel writes to; empty when there is none."""
        return find_address(channel, {field: winner.value for field, winner in self.values.items()})

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
