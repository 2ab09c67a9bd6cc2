import pytest
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.drafting.rules.channels import ChannelChoice, choose_channel, require_usable


@pytest.mark.parametrize(
    ("values", "may_whatsapp", "channel", "reason"),
    [
        (
            {"email": "a@b.c", "email_status": "valid", "phone": "+31620000000"},
            True,
            Channel.EMAIL,
            "",
        ),
        (
            {"email": "a@b.c", "email_status": "catch_all", "phone": "+31620000000"},
            True,
            "whatsapp",
            "",
        ),
        ({"email": "a@b.c", "phone": "+31"}, False, None, "email.not_verified:unknown"),
        ({"email": "a@b.c", "email_status": "invalid"}, True, None, "email.not_verified:invalid"),
        ({"phone": "+31620000000"}, False, None, "phone.no_opt_in"),
        ({"email": "  ", "email_status": "valid"}, False, None, "address.missing"),
        ({}, True, None, "address.missing"),
    ],
)
def test_a_verified_email_goes_first_and_whatsapp_needs_an_opt_in(
    values: dict[str, str], *, may_whatsapp: bool, channel: str | None, reason: str
) -> None:
    fields = {FieldName(name): value for name, value in values.items()}

    choice = choose_channel(fields, may_whatsapp=may_whatsapp)

    assert (choice.channel, choice.reason) == (channel, reason)


def test_an_address_that_cannot_be_one_gives_no_channel() -> None:
    choice = require_usable(ChannelChoice(Channel.EMAIL, "nobody"))

    assert choice == ChannelChoice(None, reason="address.malformed:email")
