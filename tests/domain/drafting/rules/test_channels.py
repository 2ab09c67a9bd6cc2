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


@pytest.mark.parametrize(
    ("email", "is_typed", "reason"),
    [
        ("noreply@acme.com", False, "address.not_personal:function"),
        ("ada@mailinator.com", False, "address.not_personal:disposable"),
        ("ada@example.com", False, "address.not_personal:reserved"),
        ("noreply@acme.com", True, ""),
        ("ada@acme.com", False, ""),
    ],
)
def test_nobody_is_written_to_at_an_address_of_nobody_that_no_person_has_typed(
    email: str, *, is_typed: bool, reason: str
) -> None:
    fields: dict[FieldName, str] = {FieldName.EMAIL: email, FieldName.EMAIL_STATUS: "valid"}

    choice = choose_channel(fields, may_whatsapp=False, is_typed=is_typed)

    assert (choice.channel, choice.reason) == (None if reason else Channel.EMAIL, reason)


@pytest.mark.parametrize(
    ("status", "has_verifier", "reason"),
    [
        (None, False, "email.no_verifier"),
        ("unknown", False, "email.no_verifier"),
        ("invalid", False, "email.not_verified:invalid"),
        (None, True, "email.not_verified:unknown"),
    ],
)
def test_that_nobody_verifies_addresses_is_said(
    status: str | None, *, has_verifier: bool, reason: str
) -> None:
    fields: dict[FieldName, str] = {FieldName.EMAIL: "ada@acme.example"}
    if status is not None:
        fields[FieldName.EMAIL_STATUS] = status

    choice = choose_channel(fields, may_whatsapp=False, has_verifier=has_verifier)

    assert choice == ChannelChoice(None, reason=reason)
