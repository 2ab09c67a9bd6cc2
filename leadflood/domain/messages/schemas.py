"""Messages as they are drafted, decided and read."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.ports.text import Claim
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.drafting.schemas import DraftProblem, ProvenFact
from leadflood.domain.leads.schemas.events import LeadEvent
from leadflood.domain.sending.schemas import FIRST_STEP, IntentState


class MessageState(StrEnum):
    """The state of a message; all but `waiting`, `approved` and `rejected` have no intent.

    `already_written`: its person, or whoever reads the mailbox, got a first message before.
    `suppressed`: nothing may be sent to its person, so nothing was written.
    """

    NEEDS_DATA = "needs_data"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_WANTED = "not_wanted"
    ALREADY_WRITTEN = "already_written"
    SUPPRESSED = "suppressed"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored.

    `reason` says why it needs data or was not wanted; `decided_by` is empty until it is
    approved or rejected.
    `repeats`: a person asked by name for another first message.
    `earlier_message_id`: the first message of before that it would repeat.
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
    repeats: bool = False
    earlier_message_id: UUID | None = None
    problems: tuple[DraftProblem, ...] = ()
    claims: tuple[Claim, ...] = ()
    facts: tuple[ProvenFact, ...] = ()


class MessageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message as people read it. `intent_*` are None while no intent exists.

    `version` counts what people changed of it. `earlierMessageId`: the first message that its
    person or mailbox got before, where that is why it is not written or sent; else null.
    `intentDetail` says more than `intentCode`; a ready one goes as soon as the settings it names
    are made (`waits_for_setup`), or the cap of its run is raised (`waits_for_money`).
    """

    id: UUID
    lead_id: UUID
    icp_id: UUID
    run_id: UUID
    step: int
    state: MessageState
    reason: str
    channel: Channel | None
    to_address: Annotated[str, needs(Permission.LEADS_READ)]
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
    intent_detail: Annotated[str | None, needs(Permission.LEADS_READ)]
    earlier_message_id: UUID | None


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of messages; None does not filter. `lead_id` means the person: merged leads too."""

    state: MessageState | None = None
    run_id: UUID | None = None
    lead_id: UUID | None = None
    channel: Channel | None = None


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A person's change of a draft; None leaves it as it is.

    `readdress`: it goes to the address and the name that its lead has now.
    """

    subject: str | None = None
    body: str | None = None
    parameters: tuple[str, ...] | None = None
    readdress: bool = False

    @property
    def changes_text(self) -> bool:
        """Whether there is any text in it."""
        parts = (self.subject, self.body, self.parameters)
        return any(part is not None for part in parts)


class Recipient(msgspec.Struct, frozen=True):
    """Where a message goes, and to whom."""

    address: str
    name: str


class Decider(msgspec.Struct, frozen=True, kw_only=True):
    """The reviewer and the leads they may see. `version` is the one they saw; None: any.

    `repeats`: they ask by name for another first message to somebody who got one.
    """

    by: str
    repeats: bool = False
    visibility: Visibility = EVERYTHING
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
    facts: Annotated[tuple[FactView, ...], needs(Permission.LEADS_READ)]
    problems: tuple[DraftProblem, ...]
    version: int


class MessageDrafted(LeadEvent, frozen=True, tag="messaging.message.drafted"):
    """A draft exists and waits for approval, or was not wanted."""

    icp_id: UUID
    message_id: UUID


class MessageRejected(LeadEvent, frozen=True, tag="messaging.message.rejected"):
    """A person said no: it is not sent."""

    message_id: UUID
