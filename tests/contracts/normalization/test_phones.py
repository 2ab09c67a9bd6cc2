import pytest
from leadflood.contracts.normalization.phones import normalize_phone


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 30 123456", None, "+4930123456"),
        ("030 123456", "DE", "+4930123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("030 123456", None, None),
        ("call me", "US", None),
        ("", "US", None),
    ],
)
def test_a_phone_has_one_form(text: str, region: str | None, number: str | None) -> None:
    assert normalize_phone(text, region) == number
