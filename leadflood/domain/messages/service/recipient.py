"""The recipient of a message, as the lead is known now."""

from uuid import UUID

from leadflood.contracts.addresses import normalize_address
from leadflood.contracts.normalization.channel_addresses import name_fields
from leadflood.contracts.text_cleaning import single_line
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messages.schemas import Recipient
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import Conflict, Invalid

MAX_NAME = 200


async def find_recipient(db: Reader, lead_id: UUID, channel: Channel) -> Recipient:
    """Return the address and the name that a lead has now. Raises: Conflict where it has none."""
    profile = (await leads.find_profiles(db, [lead_id])).get(lead_id)
    address = "" if profile is None else profile.address(channel)
    try:
        normalize_address(channel, address)
    except Invalid as error:
        raise Conflict(
            f"its lead has no {name_fields(channel)} to write to: say it first with PATCH"
            f" /v1/leads/{lead_id}, or reject the draft",
            code="message.no_address",
        ) from error
    return Recipient(address, "" if profile is None else name_of(profile))


def name_of(profile: LeadProfile) -> str:
    """Return the name that a message is addressed to, on one line."""
    return single_line(profile.text(FieldName.FULL_NAME), MAX_NAME)
