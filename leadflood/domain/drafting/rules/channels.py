"""The channel of a message, and the address it goes to."""

from collections.abc import Mapping

import msgspec

from leadflood.contracts.addresses import normalize_address
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.engine.errors import Invalid


class ChannelChoice(msgspec.Struct, frozen=True):
    """Where a message may go; `channel` None means nowhere yet, and `reason` says why."""

    channel: Channel | None
    to_address: str = ""
    reason: str = ""


def choose_channel(values: Mapping[FieldName, Scalar], *, may_whatsapp: bool) -> ChannelChoice:
    """Return the channel: a verified e-mail first, WhatsApp only with a recorded opt-in."""
    email = str(values.get(FieldName.EMAIL, "")).strip()
    status = values.get(FieldName.EMAIL_STATUS)
    if email and status == EmailStatus.VALID:
        return ChannelChoice(Channel.EMAIL, email)
    phone = str(values.get(FieldName.PHONE, "")).strip()
    if phone and may_whatsapp:
        return ChannelChoice(Channel.WHATSAPP, phone)
    if email:
        reason = f"email.not_verified:{status or EmailStatus.UNKNOWN.value}"
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
