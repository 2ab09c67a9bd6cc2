import json
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings, strategies as st
from leadflood.contracts.normalization.emails import normalize_email

DATA = Path(__file__).parents[1] / "data"
EMAILS: dict[str, Any] = json.loads((DATA / "email_validator_cases.json").read_text())
# "Ann <ann@example.com>" is a name with an address, which the check takes only when asked to
VALID = [
    case
    for case in (*EMAILS["test_email_valid"], *EMAILS["test_email_valid_intl_local_part"])
    if "<" not in case[0]
]
PLAIN = st.from_regex(
    r"[A-Za-z0-9_+.-]{1,12}@([a-z0-9-]{1,8}\.){1,3}(com|de|test|local|co|example|arpa)",
    fullmatch=True,
)


@pytest.mark.parametrize(("email", "parts"), VALID)
def test_a_good_address_has_one_form(email: str, parts: dict[str, str]) -> None:
    assert normalize_email(email) == parts["normalized"].lower()


# outer space is taken off before, as every form and file does
@pytest.mark.parametrize(
    "email",
    [case[0] for case in EMAILS["test_email_invalid_syntax"] if case[0] == case[0].strip()],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert normalize_email(email) is None


@pytest.mark.parametrize("email", EMAILS["test_email_invalid_reserved_domain"])
def test_an_address_at_a_reserved_domain_is_refused(email: str) -> None:
    assert normalize_email(email) is None


@settings(max_examples=400, deadline=None)
@given(PLAIN)
def test_the_short_way_agrees_with_the_whole_check(email: str) -> None:
    try:
        whole = validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        whole = None

    assert normalize_email(email) == whole
