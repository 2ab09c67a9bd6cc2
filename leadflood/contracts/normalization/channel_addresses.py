"""Channel addresses: of what is known of a person, the address that a channel writes to."""

from collections.abc import Mapping

from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.values import Channel, FieldName

ADDRESS_FIELDS = {
    Channel.EMAIL: (FieldName.EMAIL,),
    Channel.WHATSAPP: (FieldName.MOBILE_PHONE, FieldName.PHONE),
    Channel.SMS: (FieldName.MOBILE_PHONE, FieldName.PHONE),
}
"""The fields of a lead that a channel writes to, the best first."""


def find_address(channel: Channel, values: Mapping[FieldName, object]) -> str:
    """Return the address that a channel writes to; empty: there is none.

    Of phone numbers only those that can be called are addresses; others are texts.
    """
    for field in ADDRESS_FIELDS[channel]:
        text = str(values.get(field) or "").strip()
        address = text if channel is Channel.EMAIL else callable_number(text)
        if address:
            return address
    return ""


def name_fields(channel: Channel) -> str:
    """Return in words what a channel writes to: `email`, `mobile_phone or phone`."""
    return " or ".join(field.value for field in ADDRESS_FIELDS[channel])
