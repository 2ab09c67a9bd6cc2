"""Suppressions, opt-ins and unsubscribe tokens."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.events import LeadEvent


class AddressKey(msgspec.Struct, frozen=True):
    """The key of the hashes of addresses, derived from the master secret.

    Empty where that was not proved: whatever hashes then is refused.
    """

    key: bytes = b""


class SuppressionKind(StrEnum):
    """The target of a suppression: an address, a domain with all below it, a channel, a lead."""

    ADDRESS = "address"
    DOMAIN = "domain"
    CHANNEL = "channel"
    LEAD = "lead"


class SuppressionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the suppression list; only a keyed hash and a masked hint are kept.

    `voidedAt` null: it stops what it names; else its hash is of a lost secret: add it again.
    """

    id: UUID
    kind: SuppressionKind
    hint: str
    reason: str
    source: str
    by: str
    created_at: datetime
    lifted_at: datetime | None
    voided_at: datetime | None


class RekeyCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the suppression list when the master secret was replaced.

    `kept`: lines that stop as before.
    `void`: lines that stop nothing any more, for their value is known from nowhere.
    `opt_ins_void`: agreements that allow nothing any more.
    """

    kept: int
    void: int
    opt_ins_void: int


class SuppressionInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whom not to write to any more: an address, a domain, a channel or a lead's id, and why."""

    kind: SuppressionKind
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class OptInWithdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Agreements that are taken back: those of these leads, and of these addresses (`keys`)."""

    channel: Channel
    lead_ids: tuple[UUID, ...]
    keys: tuple[bytes, ...]
    by: str
    reason: str


class OptInView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A person's agreement to be written to on a channel, with its evidence.

    Only a masked hint of the address is shown. `wording` empty: whoever recorded it named none.
    `withdrawnAt` null: it holds; a newer one takes its place with the reason `replaced`.
    """

    id: UUID
    channel: Channel
    hint: str
    wording: str
    source: str
    obtained_at: datetime
    recorded_at: datetime
    recorded_by: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None


class NewOptIn(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement ready to be written, whoever's it is; `key` is the hash of the address."""

    channel: Channel
    key: bytes
    hint: str
    wording: str
    source: str
    obtained_at: datetime


class NewUnsubscribeToken(msgspec.Struct, frozen=True, kw_only=True):
    """An unsubscribe token, and whom it speaks for."""

    token: str
    intent_id: UUID
    lead_id: UUID
    address_hash: bytes
    hint: str


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The effect of a token: `known` False for a token that is none of ours."""

    known: bool
    first_time: bool
    hint: str


class OptInRecorded(LeadEvent, frozen=True, tag="messaging.opt_in.recorded"):
    """A person agreed to be written to on a channel."""

    channel: Channel


class OptInWithdrawn(LeadEvent, frozen=True, tag="messaging.opt_in.withdrawn"):
    """A person took their agreement back."""

    channel: Channel


class LeadUnsubscribed(LeadEvent, frozen=True, tag="messaging.lead.unsubscribed"):
    """A person said stop: no channel may write to them."""

    intent_id: UUID
