"""E-mail addresses of users: one form to store and to compare. Pure."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from leadflood.engine.errors import Invalid

MAX_EMAIL_CHARS = 254
_CODE = "accounts.email.invalid"


def normalize_email(email: str) -> str:
    """Return an address in the form that is stored. Raises: Invalid."""
    problem = "write one e-mail address, such as ann@example.com"
    if len(email) > MAX_EMAIL_CHARS:
        raise Invalid.field("email", problem, detail="email: is too long", code=_CODE)
    try:
        checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise Invalid.field("email", problem, detail=f"email: {error}", code=_CODE) from error
    return unicodedata.normalize("NFKC", checked.normalized).lower()


def fold_email(email: str) -> str:
    """Return what was typed at a login in the form that is stored; invalid text is no error."""
    return unicodedata.normalize("NFKC", email.strip()).lower()[:MAX_EMAIL_CHARS]
