"""Messages as they are drafted, approved, sent and read."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.ports.text import Claim
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas import LeadEvent

FIRST_STEP = 1
"""The step of a first message; sequences write later ones."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who writes, what every message must carry, and how long a message is worth sending.

    Required before an e-mail leaves: `sender_name`, `sender_address`, `postal_address` and
    `unsubscribe_mailto` or `public_url`. `hash_secret` keys the hashes of the suppression list:
    changing it forgets the list. `whatsapp_parameters` are Jinja2, one for each placeholder.
    `not_sent_after_seconds`: a look-up earlier than that cannot prove that nothing arrived.
    """

    sender_name: str = ""
    sender_address: str = ""
    reply_to: str = ""
    postal_address: str = ""
    unsubscribe_mailto: str = ""
    public_url: str = ""
    hash_secret: str = ""
    language: str = "en"
    template_name: str = "first_touch"
    whatsapp_template_id: str = ""
    whatsapp_placeholders: tuple[str, ...] = ()
    whatsapp_parameters: tuple[str, ...] = ()
    allowed_links: tuple[str, ...] = ()
    latest_useful_hours: float = 72.0
    fact_max_age_days: float = 365.0
    held_retry_seconds: float = 10.0
    not_sent_after_seconds: float = 60.0
    max_subject: int = 120
    max_body: int = 1200


class MessageState(StrEnum):
    """What has become of a message; `needs_data` and `not_wanted` have no intent."""

    NEEDS_DATA = "needs_data"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_WANTED = "not_wanted"


class IntentState(StrEnum):
    """What has become of a sending; only `ready` may ever be called for."""

    READY = "ready"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Problem(msgspec.Struct, frozen=True):
    """One reason why a draft is not let through: a stable code and the words at fault."""

    code: str
    detail: str


class ProvenFact(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered fact with the stored value that proves it."""

    number: int
    field: str
    text: str
    field_value_id: UUID


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A text with merge fields (Jinja2). WhatsApp: what is merged are the parameters only."""

    name: str
    version: int
    channel: Channel
    language: str = "en"
    subject: str = ""
    body: str = ""
    whatsapp_template_id: str = ""
    placeholders: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


Line = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class TemplateInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A text with merge fields as a person writes it.

    E-mail: `subject` and `body`. WhatsApp: `whatsappTemplateId` as the provider knows it, and one
    of `parameters` for each of `placeholders`.
    """

    name: Name
    channel: Channel
    language: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] = "en"
    subject: Line = ""
    body: Text = ""
    whatsapp_template_id: Line = ""
    placeholders: Annotated[tuple[Name, ...], msgspec.Meta(max_length=50)] = ()
    parameters: Annotated[tuple[Text, ...], msgspec.Meta(max_length=50)] = ()


class TemplateView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a text. `isUsed`: drafts are written from the newest version of this text.

    `id` null and `version` 0: it is built in, nobody here has written it.
    """

    id: UUID | None
    name: str
    version: int
    channel: Channel
    language: str
    subject: str
    body: str
    whatsapp_template_id: str
    placeholders: tuple[str, ...]
    parameters: tuple[str, ...]
    created_at: datetime | None
    created_by: str | None
    is_used: bool = False


class TemplateVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When a version of a text was written, and by whom."""

    id: UUID
    version: int
    created_at: datetime
    created_by: str


class TemplateDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a text, and all versions of it, newest first."""

    template: TemplateView
    versions: tuple[TemplateVersion, ...]


class TemplatePreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a draft would say. `reason` not empty: it would not go, as a message says it.

    `value:title`: the lead has no title. `text:…`: the first of `problems`.
    """

    reason: str
    subject: str = ""
    body: str = ""
    parameters: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored.

    `reason` says why it needs data or was not wanted; `decided_by` is empty until approved.
    """

    id: UUID
    lead_id: UUID
    icp_id: UUID
    run_id: UUID
    step: int = FIRST_STEP
    state: MessageState
    reason: str = ""
    channel: Channel | None = None
    to_address: str = ""
    to_name: str = ""
    subject: str = ""
    body: str = ""
    template_id: str = ""
    parameters: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    writer: str = ""
    decided_by: str = ""
    problems: tuple[Problem, ...] = ()
    claims: tuple[Claim, ...] = ()
    facts: tuple[ProvenFact, ...] = ()


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One sending of one message. `reference` is its stable Message-ID."""

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


class MessageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message as people read it. `intent_*` are None while no intent exists.

    `version` counts what people changed of it.
    """

    id: UUID
    lead_id: UUID
    icp_id: UUID
    run_id: UUID
    step: int
    state: MessageState
    reason: str
    channel: Channel | None
    to_address: str
    subject: str
    body: str
    parameters: tuple[str, ...]
    writer: str
    version: int
    drafted_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    intent_id: UUID | None
    intent_state: IntentState | None
    intent_code: str | None


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages; None asks for nothing. `owner`: only those to this owner's leads."""

    state: MessageState | None = None
    run_id: UUID | None = None
    lead_id: UUID | None = None
    channel: Channel | None = None
    owner: str | None = None


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a person changes in a draft; None leaves it as it is."""

    subject: str | None = None
    body: str | None = None
    parameters: tuple[str, ...] | None = None


class Decider(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides, and what he may see.

    `owner` None: messages to all leads. `version` is the one he saw; None does not ask.
    """

    by: str
    owner: str | None = None
    version: int | None = None


class FactView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A fact of a message: its stored value and where in the text it is claimed (characters)."""

    number: int
    field: str
    value: str
    field_value_id: UUID
    claimed_at: tuple[tuple[int, int], ...]


class MessageDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message with the facts that carry it and the problems of refused drafts."""

    message: MessageView
    facts: tuple[FactView, ...]
    problems: tuple[Problem, ...]
    version: int


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


class SendingStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether sending is held, who said so, and the intents that may still arrive."""

    held: bool
    by: str
    reason: str
    changed_at: datetime | None
    sending: tuple[IntentView, ...]
    counts: dict[IntentState, int]


class SuppressionKind(StrEnum):
    """What a suppression stops: an address, a domain with all below it, a channel, a lead."""

    ADDRESS = "address"
    DOMAIN = "domain"
    CHANNEL = "channel"
    LEAD = "lead"


class SuppressionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the suppression list; only a keyed hash and a masked hint are kept."""

    id: UUID
    kind: SuppressionKind
    hint: str
    reason: str
    source: str
    by: str
    created_at: datetime
    lifted_at: datetime | None


class SuppressionInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whom not to write to any more: an address, a domain, a channel or a lead's id, and why."""

    kind: SuppressionKind
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


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


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a token did: `known` False for a token that is none of ours."""

    known: bool
    first_time: bool
    hint: str


class MessageDrafted(LeadEvent, frozen=True, tag="messaging.message.drafted"):
    """A draft exists and waits for approval, or was not wanted."""

    icp_id: UUID
    message_id: UUID


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


class MessageRejected(LeadEvent, frozen=True, tag="messaging.message.rejected"):
    """A person said no: it is not sent."""

    message_id: UUID


class OptInRecorded(LeadEvent, frozen=True, tag="messaging.opt_in.recorded"):
    """A person agreed to be written to on a channel."""

    channel: Channel


class OptInWithdrawn(LeadEvent, frozen=True, tag="messaging.opt_in.withdrawn"):
    """A person took their agreement back."""

    channel: Channel


class LeadUnsubscribed(LeadEvent, frozen=True, tag="messaging.lead.unsubscribed"):
    """A person said stop: no channel may write to them."""

    intent_id: UUID
