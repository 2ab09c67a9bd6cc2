"""Suppressions, opt-ins and unsubscribe tokens."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.normalization.domains import is_shared_domain
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.field_rights import needs, needs_where
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.leads.schemas.events import LeadEvent
from leadflood.engine.queue.event import Event


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
    """Whom not to write to any more: an address, a domain, a channel or a lead's id, and why.

    A channel, a public suffix and a mail provider's domain reach people who have nothing in common:
    for these `expectedCount` says how many leads it may cover at most; the refusal without it says
    how many it covers.
    """

    kind: Annotated[SuppressionKind, needs(Permission.ADMIN_WRITE, "channel")]
    value: Annotated[
        str,
        msgspec.Meta(min_length=1, max_length=500),
        needs_where(
            Permission.ADMIN_WRITE,
            lambda suppression: suppression.is_broad,
            "a public suffix or a mail provider's domain",
        ),
    ]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    expected_count: Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None = None

    @property
    def is_broad(self) -> bool:
        """Whether it reaches people who have nothing in common."""
        if self.kind is SuppressionKind.DOMAIN:
            return is_shared_domain(self.value.strip().removeprefix("@"))
        return self.kind is SuppressionKind.CHANNEL


class WrittenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be, as it is written in a list.

    - `value`: what it stops; empty: only its hash is known.
    - `kind`: what that is; None: as it looks.
    - `reason`: why; empty: as for the others.
    - `expected_count`: how many leads a broad line may cover; None: nobody has confirmed it.
    - `hash`, `key`, `hint`: the hash in hex, the fingerprint of its key, and its masked value.
    """

    value: str = ""
    kind: SuppressionKind | None = None
    reason: str = ""
    expected_count: int | None = None
    hash: str = ""
    key: str = ""
    hint: str = ""


class LineOutcome(StrEnum):
    """What became of a line: it is new, was on the list before, or is refused."""

    ADDED = "added"
    KNOWN = "known"
    REFUSED = "refused"


class LineResult(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an item, by its place from 0.

    `id` is its line on the list; `problem` says why it is refused.
    """

    index: int
    outcome: LineOutcome
    id: UUID | None = None
    problem: str | None = None


class AddedLines(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of many lines, in their order, and how many of each outcome there are."""

    added: int
    known: int
    refused: int
    items: tuple[LineResult, ...]


class BulkSuppression(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whom not to write to any more, one of many; see `SuppressionInput`.

    `kind` null: an address, a number or a domain, as it looks. `reason` null: that of the request.
    """

    value: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    kind: SuppressionKind | None = None
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)] | None = None
    expected_count: Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None = None


class BulkSuppressions(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whom not to write to any more, and why."""

    items: Annotated[tuple[BulkSuppression, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class Coverage(msgspec.Struct, frozen=True):
    """How many leads a channel or a domain covers, and how many sends that are due."""

    lead_count: int
    due_send_count: int


class AddedSuppression(SuppressionView, frozen=True, kw_only=True, rename="camel"):
    """A line of the list with what it stops now; null for an address and a lead.

    `dueSendCount`: sends that were ready; they are cancelled when their time comes.
    """

    lead_count: int | None = None
    due_send_count: int | None = None


class LiftedSuppression(SuppressionView, frozen=True, kw_only=True, rename="camel"):
    """A line that was lifted. `restoredSendCount`: the sends that go after all."""

    restored_send_count: int


class ImportLift(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Why what an import wrote onto the suppression list is lifted.

    `restoreSends`: whether sends that were cancelled as suppressed go after all.
    """

    reason: Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*\S[^\x00]*$")]
    restore_sends: bool = False


class LiftedOfImport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the lines of the suppression list that an import wrote.

    - `lifted`: those that it alone said.
    - `kept`: those that a person, a link, a provider or another file says too; they stop as before.
    - `isComplete`: whether none is left; else ask again, a call lifts 10,000.
    - `restoredSendCount`: the sends that go after all.
    """

    lifted: int
    kept: int
    is_complete: bool
    restored_send_count: int = 0


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


class SendsStopped(Event, frozen=True, tag="messaging.sends.stopped"):
    """A channel or a domain was suppressed while sends to it were due."""

    suppression_id: UUID
    kind: SuppressionKind
    by: str
    due_send_count: int

    @override
    def subject(self) -> UUID:
        return self.suppression_id


class OptInRecorded(LeadEvent, frozen=True, tag="messaging.opt_in.recorded"):
    """A person agreed to be written to on a channel."""

    channel: Channel


class OptInWithdrawn(LeadEvent, frozen=True, tag="messaging.opt_in.withdrawn"):
    """A person took their agreement back."""

    channel: Channel


class LeadUnsubscribed(LeadEvent, frozen=True, tag="messaging.lead.unsubscribed"):
    """A person said stop: no channel may write to them."""

    intent_id: UUID
