"""Password policy. Pure.

Passwords are compared after NFKC (Unicode TR15), as NIST SP 800-63B §3.1.1.2 advises: the same
password typed on another keyboard or system must be the same. Length is counted after it, in
characters. No composition rules, no forced change; what is easily guessed is refused, as zxcvbn
judges it (Wheeler, USENIX Security 2016): common passwords and words, dates, rows of keys, repeats,
and whatever stands in the address.
"""

import re
import unicodedata

from leadflood.engine.errors import Invalid

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 1_000
JUDGED_CHARS = 24
"""So much of a password is judged: it takes a tenth of a second at worst, not many."""
MIN_SCORE = 3
"""zxcvbn's "safely unguessable": above 10^8 guesses."""


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
    return _judge(password[:JUDGED_CHARS], [*re.split(r"[@.]", email), "leadflood"])


def _judge(password: str, known_words: list[str]) -> str:
    """Say why a password is easily guessed; empty: it is not. Takes up to a tenth of a second."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists of words take a while to load

    judgement = zxcvbn(password, [word for word in known_words if word])
    if judgement["score"] >= MIN_SCORE:
        return ""
    warning = judgement["feedback"]["warning"].rstrip(".")
    reason = f" ({warning[:1].lower()}{warning[1:]})" if warning else ""
    return (
        f"is easily guessed{reason}: take another, such as four words that do not belong together"
    )
