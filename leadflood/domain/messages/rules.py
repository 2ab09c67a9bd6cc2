"""Decisions on a draft: never, wait for a person or for data, or go. Pure."""

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.messages.schemas import Message, MessageState

AUTOPILOT = "autopilot"


def decide(
    message: Message, *, sends: str, is_autopilot: bool, missing_settings: tuple[str, ...]
) -> Message:
    """Return a drafted message with its state; its `reason` says why it has no text.

    `missing_settings` are those without which nothing may leave on its channel.
    """
    replace = msgspec.structs.replace
    if sends == SendsPolicy.NEVER:
        reason = message.reason or "run.never_sends"
        return replace(message, state=MessageState.NOT_WANTED, reason=reason)
    if message.reason:
        return message
    if sends != SendsPolicy.GO or not is_autopilot:
        return replace(message, state=MessageState.WAITING)
    if missing_settings:
        reason = f"setting:{missing_settings[0]}"
        return replace(message, state=MessageState.WAITING, reason=reason)
    return replace(message, state=MessageState.APPROVED, decided_by=AUTOPILOT)
