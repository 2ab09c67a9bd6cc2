"""Password policy. Pure.

Passwords are compared after NFKC (Unicode TR15), as NIST SP 800-63B §3.1.1.2 advises: the same
password typed on another keyboard or system must be the same. Length is counted after it, in
characters. No composition rules, no forced change; the few passwords everybody tries are refused.
"""

import unicodedata

from leadflood.engine.errors import Invalid

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 1_000
MIN_DISTINCT_CHARS = 5
COMMON_PASSWORDS = frozenset(
    [
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789123456",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "abc123abc123",
        "abcdefghijkl",
        "administrator",
        "changeme1234",
        "correcthorsebatterystaple",
        "iloveyou1234",
        "leadflood123",
        "leadflood1234",
        "letmein123456",
        "p@ssw0rd1234",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "qazwsxedcrfv",
        "qwerty123456",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "trustno1trustno1",
        "welcome12345",
    ]
) | {"correct horse battery staple"}


def normalize_password(password: str) -> str:
    """Return a password in the form that is hashed."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, email: str) -> None:
    """Refuse a password that is easily guessed for this address. Raises: Invalid."""
    if problem := _find_problem(normalize_password(password), email.lower()):
        raise Invalid.field("password", problem, code="auth.password.refused")


def _find_problem(password: str, email: str) -> str:
    lowered = password.lower()
    if len(password) < MIN_PASSWORD_CHARS:
        return f"is too short: take at least {MIN_PASSWORD_CHARS} characters"
    if len(password) > MAX_PASSWORD_CHARS:
        return f"is too long: take at most {MAX_PASSWORD_CHARS} characters"
    if email and lowered in {email, email.partition("@")[0]}:
        return "is the e-mail address: take another"
    if lowered.strip() in COMMON_PASSWORDS or len(set(lowered)) < MIN_DISTINCT_CHARS:
        return "is among the first that anybody tries: take another"
    return ""
