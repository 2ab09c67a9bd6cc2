"""Decisions on a draft: never, not again, wait for a person or for data, or go. Pure."""

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.drafting.schemas import SUPPRESSED
from leadflood.domain.messages.schemas import Message, MessageState
from leadflood.domain.sending.schemas import EarlierMessage

AUTOPILOT = "autopilot"


def decide(message: Message, *, sends: str, is_autopilot: bool) -> Message:
    """Return a drafted message with its state; its `reason` says why it has no text."""
    replace = msgspec.structs.replace
    if sends == SendsPolicy.NEVER:
        reason = message.reason or "run.never_sends"
        return replace(message, state=MessageState.NOT_WANTED, reason=reason)
    if message.reason == SUPPRESSED:
        return replace(message, state=MessageState.SUPPRESSED)
    if message.reason:
        return message
    if sends != SendsPolicy.GO or not is_autopilot:
        return replace(message, state=MessageState.WAITING)
    return replace(message, state=MessageState.APPROVED, decided_by=AUTOPILOT)


def decline(message: Message, earlier: EarlierMessage) -> Message:
    """Return a message that is not written: its person got a first one before."""
    return msgspec.structs.replace(
        message,
        state=MessageState.ALREADY_WRITTEN,
        reason=f"message:{earlier.message_id}",
        earlier_message_id=earlier.message_id,
    )
