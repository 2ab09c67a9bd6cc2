"""Intents (one send of one message each), their states, and the switch of sending."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.events import LeadEvent


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sender, the texts every message must carry, and how long a message is worth sending.

    Required before an e-mail leaves: `sender_name`, `sender_address`, `postal_address` and
    `unsubscribe_mailto` or `public_url`.
    `latest_useful_hours` is how long an approved message may wait for its sending.
    `held_retry_seconds` is how long a send waits that is held.
    `not_sent_after_seconds`: a look-up earlier than that cannot prove that nothing arrived.
    `again_after_days`: a person and a mailbox get another first message after that; 0: never.
    """

    sender_name: str = ""
    sender_address: str = ""
    reply_to: str = ""
    postal_address: str = ""
    unsubscribe_mailto: str = ""
    public_url: str = ""
    latest_useful_hours: float = 72.0
    held_retry_seconds: float = 10.0
    not_sent_after_seconds: float = 60.0
    again_after_days: Annotated[float, msgspec.Meta(ge=0, le=36_500)] = 0.0


class IntentState(StrEnum):
    """The state of a sending; only `ready` may ever be called for."""

    READY = "ready"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


HELD = "sending is held: `leadflood sending release` lets it go"
"""Why a send waits for somebody to release sending."""
WAITS_FOR_SETUP = "waits_for_setup"
"""The code of a ready message that a missing setting keeps; it goes once the setting is made."""
WAITS_FOR_MONEY = "waits_for_money"
"""The code of a ready message that the spent cap of its run keeps; it goes once that is raised."""
NO_SENDER_MISSING: Mapping[Channel, str] = MappingProxyType({})
"""A provider is set for every channel."""
FIRST_STEP = 1
"""The step of a first message; sequences write later ones."""


class EarlierMessage(msgspec.Struct, frozen=True):
    """A first message that left already, or may have."""

    message_id: UUID
    state: IntentState
    sent_at: datetime


class ContactPast(msgspec.Struct, frozen=True, kw_only=True):
    """What a person and a mailbox got before.

    `earlier`: the newest first message that still counts; None: there is none.
    `touch_count`: the highest number of those that left for the mailbox.
    """

    earlier: EarlierMessage | None = None
    touch_count: int = 0


NO_PAST = ContactPast()


class NewIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A send to be, of one step of one message.

    `repeats`: a person asked by name for another first message to somebody.
    """

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    step: int
    channel: Channel
    to_address: str
    repeats: bool = False


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One sending of one message. `reference` is its stable Message-ID.

    `is_last_try`: the job has no attempt left beside this one.
    """

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    step: int
    reference: str
    channel: Channel
    to_address: str
    to_name: str
    subject: str
    body: str
    template_id: str
    parameters: tuple[str, ...]
    state: IntentState
    claim: int | None
    job_id: UUID | None
    latest_useful_at: datetime
    code: str
    detail: str
    provider: str
    remote_id: str
    sending_at: datetime | None
    ended_at: datetime | None
    is_last_try: bool = False


class LockedIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent as it is locked; `published_state` is the state of the last event."""

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    state: IntentState
    published_state: IntentState
    claim: int | None
    job_id: UUID | None
    code: str


class LockedSend(msgspec.Struct, frozen=True, kw_only=True):
    """An intent that is locked for its send, with its message, lead and run as they stand.

    `mailbox_lead_id` is the lead whom the address identifies, which may be another one; None: no
    lead.
    """

    id: UUID
    state: IntentState
    claim: int | None
    job_id: UUID | None
    lead_id: UUID
    mailbox_lead_id: UUID | None
    step: int
    channel: Channel
    to_address: str
    address_key: bytes
    repeats: bool
    latest_useful_at: datetime
    is_approved: bool
    lead_gone: bool
    lead_merged: bool
    lead_deleted: bool
    run_cancelled: bool
    never_sends: bool
    held: bool


class SendConditions(LockedSend, frozen=True, kw_only=True):
    """Everything that may forbid a send, read directly before the call.

    `address_stands`: the lead is still written to at this address.
    `contact_keys`, `past`: of a first message; see `service.contact_history`.
    """

    address_stands: bool
    suppressed: bool
    opted_in: bool
    contact_keys: tuple[bytes, ...] = ()
    past: ContactPast = NO_PAST


class IntentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sending as operators read it; the address is masked."""

    id: UUID
    message_id: UUID
    lead_id: UUID
    channel: Channel
    to_hint: str
    reference: str
    state: IntentState
    code: str
    sending_at: datetime | None


LOOK_AT = {
    Channel.EMAIL: (
        "the mail server's log, or its Sent folder: look for each Message-ID (`reference`) about"
        " the time it was handed over; the log says whether it was accepted"
    ),
    Channel.WHATSAPP: (
        "the conversation with the number at the provider: is the message there, at that time?"
    ),
    Channel.SMS: "the provider's list of messages to the number: is it there, at that time?",
}
"""Where a person sees whether an unknown send arrived."""


class UnknownFilter(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which unknown sends; null asks for nothing, so that an empty filter means all."""

    channel: Channel | None = None
    sent_before: datetime | None = None


ALL_UNKNOWN = UnknownFilter()


class UnknownSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The sends of a channel that may have arrived, and where a person sees whether they did."""

    channel: Channel
    count: int
    oldest_at: datetime | None
    newest_at: datetime | None
    look_at: str


class ResolvedSend(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A send after somebody resolved it. `isResolved` false: it was not unknown any more."""

    intent_id: UUID
    state: IntentState
    is_resolved: bool = True


class WaitingSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The ready messages that wait for a setting or for money, by what they wait for."""

    code: str
    detail: str
    count: int


class WaitingSend(msgspec.Struct, frozen=True, kw_only=True):
    """A ready message that waited and need not wait any more.

    `run_cancelled`, `is_too_late`: it does not go either.
    """

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    run_cancelled: bool
    is_too_late: bool


class SendingStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether sending is held, who said so, and which intents are not settled.

    `sending` may still arrive; of the `unknown` nobody knows; the `waiting` need a setting or
    money.
    """

    held: bool
    by: str
    reason: str
    changed_at: datetime | None
    sending: tuple[IntentView, ...]
    counts: dict[IntentState, int]
    unknown: tuple[UnknownSummary, ...] = ()
    waiting: tuple[WaitingSummary, ...] = ()


class LookupCounts(msgspec.Struct, frozen=True, rename="camel"):
    """How many unknown sends the other side could tell about."""

    sent: int = 0
    not_sent: int = 0
    cannot_tell: int = 0


class RestoredSend(msgspec.Struct, frozen=True, kw_only=True):
    """A send that was cancelled and is ready again."""

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID


class MessageApproved(LeadEvent, frozen=True, tag="messaging.message.approved"):
    """A person or autopilot said yes; its intent is ready."""

    message_id: UUID
    intent_id: UUID

    @override
    def job_key(self) -> str:
        return str(self.intent_id)


class MessageAccepted(LeadEvent, frozen=True, tag="messaging.message.accepted"):
    """The other side took it."""

    message_id: UUID
    intent_id: UUID


class MessageRefused(LeadEvent, frozen=True, tag="messaging.message.refused"):
    """It will not go: the other side or `authorize` said no; `code` says why."""

    message_id: UUID
    intent_id: UUID
    code: str


class MessageUnknown(LeadEvent, frozen=True, tag="messaging.message.unknown"):
    """It may have arrived: asked for, never sent again."""

    message_id: UUID
    intent_id: UUID
