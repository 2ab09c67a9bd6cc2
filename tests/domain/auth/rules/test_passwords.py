import time
import unicodedata

import pytest
from hypothesis import given, settings, strategies as st
from leadflood.domain.auth.rules.passwords import check_password, normalize_password
from leadflood.engine.errors import Invalid


@given(st.text(max_size=60))
def test_normalizing_a_password_twice_changes_nothing(password: str) -> None:
    normalized = normalize_password(password)

    assert normalize_password(normalized) == normalized
    assert normalize_password(unicodedata.normalize("NFD", password)) == normalize_password(
        unicodedata.normalize("NFC", password)
    )


@settings(max_examples=30)
@given(st.text(max_size=1_200), st.emails())
def test_a_password_is_accepted_or_refused_with_its_field(password: str, email: str) -> None:
    refused = None
    try:
        check_password(password, email)
    except Invalid as error:
        refused = error

    if refused is None:
        assert 12 <= len(normalize_password(password)) <= 1_000
    else:
        assert refused.fields[0].path == "password"
        assert len(password) < 4 or password not in refused.detail


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@ssw0rd1234",
        "Password2026!",
        "123456789012",
        "qwertyuiop123",
        "1qaz2wsx3edc",
        "iloveyou12345",
        "leadflood1234",
        "abcabcabcabc",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "trustno1trustno1",
        "example12345",
    ],
)
def test_a_password_that_others_try_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid, match="guessed"):
        check_password(password, "ann@example.com")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "my own pass phrase", "Zo\u00eb likes caf\u00e9s", "vK8#qTz!29Lm"],
)
def test_a_pass_phrase_and_a_random_password_are_taken(password: str) -> None:
    check_password(password, "ann@example.com")


def test_judging_a_password_has_a_bound_whatever_is_sent() -> None:
    check_password("correct horse battery", "")  # loads the lists of words
    costly = ("4@8({[<6931!|7(0$5+%" * 50, "|+[l%a0ez7ose!e+ez7i" * 50, "i3|7$<7o2[{62<9|(+4{" * 50)

    started = time.thread_time()
    for password in costly:
        check_password(password, "ann@example.com")

    assert time.thread_time() - started < 1.0
