from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.totp import (
    find_step,
    is_code,
    make_recovery_codes,
    make_secret,
    normalize_recovery_code,
    provisioning_uri,
)

NOW = datetime(2026, 1, 5, 9, 0, 15, tzinfo=UTC)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105 - RFC 6238's


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")]
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, six digits."""
    assert find_step(SECRET, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize(
    ("seconds", "is_good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_one_find_step_drift_is_allowed(seconds: int, is_good: bool) -> None:  # noqa: FBT001 - a table
    code = pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=seconds))

    assert (find_step(SECRET, code, NOW) is not None) is is_good


@given(st.text(max_size=12))
def test_a_text_that_is_no_code_has_no_step(text: str) -> None:
    if not is_code(text):
        assert find_step(SECRET, text, NOW) is None


def test_a_code_may_be_typed_in_groups() -> None:
    code = pyotp.TOTP(SECRET).at(NOW)

    assert find_step(SECRET, f"{code[:3]} {code[3:]}", NOW) is not None


def test_recovery_codes_differ_and_may_be_typed_in_any_grouping() -> None:
    codes = make_recovery_codes()

    assert len(set(codes)) == 10
    for code in codes:
        assert normalize_recovery_code(code.upper().replace("-", " ")) == code.replace("-", "")
    assert normalize_recovery_code("123456") is None


def test_an_app_reads_the_uri() -> None:
    secret = make_secret()

    read = pyotp.parse_uri(provisioning_uri(secret, "ann@team.example"))

    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.issuer, read.name) == (secret, "leadflood", "ann@team.example")
