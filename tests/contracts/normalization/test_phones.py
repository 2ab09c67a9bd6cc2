import phonenumbers
import pytest
from leadflood.contracts.normalization.phones import (
    callable_number,
    normalize_phone,
    read_phones,
    region_of_number,
)
from phonenumbers import PhoneNumberFormat

TYPES = range(11)
"""The kinds of numbers that the library has examples of."""
FORMS = (
    PhoneNumberFormat.E164,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.RFC3966,
)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 30 123456", None, "+4930123456"),
        ("030 123456", "DE", "+4930123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("0049 30 123456", None, "+4930123456"),
        ("011 49 30 123456", "US", "+4930123456"),
        ("+49 (0)30 123456", None, "+4930123456"),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("+39 06 1234 5678", None, "+390612345678"),
        ("Tel.: +49 30 123456", None, "+4930123456"),
        ("tel:+4930123456", None, "+4930123456"),
        ("'030 123456", "DE", "+4930123456"),
        ("\uff0b\uff14\uff19 30 123456", None, "+4930123456"),
        ("+49 30 123456 ext. 12", None, "+4930123456 ext. 12"),
        ("(415) 555-2671 x12", "US", "+14155552671 ext. 12"),
        ("030 123456 Durchwahl 12", "DE", "+4930123456 ext. 12"),
        ("+4930123456 ext. 12", None, "+4930123456 ext. 12"),
        ("030 123456", None, None),
        ("+1 555 123 4567", None, None),
        ("call me", "US", None),
        ("", "US", None),
    ],
)
def test_a_phone_has_one_form(text: str, region: str | None, number: str | None) -> None:
    assert normalize_phone(text, region) == number


@pytest.mark.parametrize(
    ("text", "region", "numbers"),
    [
        ("493012345678.0", "DE", ["+493012345678"]),
        ("4155552671.0", "US", ["+14155552671"]),
        ("030 123456 / 0171 1234567", "DE", ["+4930123456", "+491711234567"]),
        ("030/123456", "DE", ["+4930123456"]),
        ("+49 30 123456; +49 171 1234567", None, ["+4930123456", "+491711234567"]),
        ("+49 30 123456\n+49 171 1234567", None, ["+4930123456", "+491711234567"]),
        ("030 123456 oder 0171 1234567", "DE", ["+4930123456", "+491711234567"]),
        ("Tel +49 30 123456, Mobil +49 171 1234567", None, ["+4930123456", "+491711234567"]),
        ("n/a; 030 123456", "DE", ["+4930123456"]),
    ],
)
def test_a_cell_holds_the_numbers_that_a_person_sees_in_it(
    text: str, region: str | None, numbers: list[str]
) -> None:
    assert list(read_phones(text, region).numbers) == numbers


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("493012345678.0", "493012345678.0"),
        ("030 123456", "030 123456"),
        ("555-3001", "555-3001"),
        ("+1 (555) 123-4567", "+1 (555) 123-4567"),
        ("4.93012E+11", None),
        ("4,93012E+11", None),
        ("000-000-0000", None),
        ("1111111111", None),
        ("2024-10-02", None),
        ("call me", None),
    ],
)
def test_what_nobody_can_call_is_kept_as_text_or_not_at_all(text: str, kept: str | None) -> None:
    read = read_phones(text)

    assert (read.numbers, read.kept) == ((), kept)
    assert read.note
    assert kept is None or (read_phones(kept).kept == kept and callable_number(kept) is None)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_examples_of_every_country_are_read_as_they_are_meant(region: str) -> None:
    for kind in TYPES:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or not phonenumbers.is_valid_number(example):
            continue
        number = phonenumbers.format_number(example, PhoneNumberFormat.E164)

        for form in FORMS:
            assert read_phones(phonenumbers.format_number(example, form), region).numbers == (
                number,
            )
        assert callable_number(number) == number
        assert region_of_number(number) == phonenumbers.region_code_for_number(example)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_no_invalid_number_can_be_called(region: str) -> None:
    example = phonenumbers.invalid_example_number(region)
    if example is None:
        return

    for form in FORMS:
        text = phonenumbers.format_number(example, form)
        assert read_phones(text, region).numbers == ()
        assert callable_number(text) is None


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_short_way_of_plain_numbers_agrees_with_the_whole_one(region: str) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    number = phonenumbers.format_number(example, PhoneNumberFormat.E164)

    for text in (number, number[:-1], f"{number}1", f"{number[:3]}0{number[3:]}"):
        assert read_phones(text, "DE").numbers == read_phones(f"tel:{text}", "DE").numbers


def test_a_number_is_called_without_its_extension() -> None:
    assert callable_number("+4930123456 ext. 12") == "+4930123456"
    assert callable_number("030 123456") is None
    assert callable_number("+15551234567") is None
