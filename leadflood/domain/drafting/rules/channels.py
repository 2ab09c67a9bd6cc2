"""The channel of a message, and the address it goes to."""

from collections.abc import Container, Mapping

import msgspec

from leadflood.contracts.addresses import normalize_address
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.channel_addresses import find_address
from leadflood.contracts.normalization.emails import why_not_personal
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.domain.drafting.schemas import SUPPRESSED
from leadflood.engine.errors import Invalid

NOT_PERSONAL = "address.not_personal"
"""An address that reaches no person: of a function, for a few minutes, or reserved."""
NO_VERIFIER = "email.no_verifier"
"""No provider is set that says whether an address works, and nobody else has said so."""


class ChannelChoice(msgspec.Struct, frozen=True):
    """Where a message may go; `channel` None means nowhere yet, and `reason` says why."""

    channel: Channel | None
    to_address: str = ""
    reason: str = ""


def choose_channel(
    values: Mapping[FieldName, Scalar],
    *,
    may_whatsapp: bool,
    has_verifier: bool = True,
    is_typed: bool = False,
    stopped: Container[Channel] = (),
) -> ChannelChoice:
    """Return the channel: a verified e-mail first, WhatsApp only with a recorded opt-in.

    `has_verifier`: whether there is anybody to ask about an address.
    `is_typed`: whether a person has typed the address, which then may be a function's.
    `stopped`: the channels on which nothing may be sent to them.
    """
    email = find_address(Channel.EMAIL, values)
    status = values.get(FieldName.EMAIL_STATUS)
    why = None if is_typed else why_not_personal(email)
    if email and status == EmailStatus.VALID and why is None and Channel.EMAIL not in stopped:
        return ChannelChoice(Channel.EMAIL, email)
    phone = find_address(Channel.WHATSAPP, values)
    is_agreed = bool(phone) and may_whatsapp
    if is_agreed and Channel.WHATSAPP not in stopped:
        return ChannelChoice(Channel.WHATSAPP, phone)
    if is_agreed or Channel.EMAIL in stopped:
        return ChannelChoice(None, email or phone, SUPPRESSED)
    if why is not None:
        reason = f"{NOT_PERSONAL}:{why}"
    elif email:
        verdict = status or EmailStatus.UNKNOWN.value
        is_unasked = verdict == EmailStatus.UNKNOWN and not has_verifier
        reason = NO_VERIFIER if is_unasked else f"email.not_verified:{verdict}"
    else:
        reason = "phone.no_opt_in" if phone else "address.missing"
    return ChannelChoice(None, reason=reason)


def require_usable(choice: ChannelChoice) -> ChannelChoice:
    """Return a choice, or none with a reason where its address cannot be one."""
    if choice.channel is None:
        return choice
    try:
        normalize_address(choice.channel, choice.to_address)
    except Invalid:
        return ChannelChoice(None, reason=f"address.malformed:{choice.channel}")
    return choice
