"""What addresses, passwords and tokens must look like. Pure, total.

Passwords are compared after NFKC (Unicode TR15), as NIST SP 800-63B §3.1.1.2 advises: the same
password typed on another keyboard or system must be the same. Length is counted after it, in
characters. No composition rules, no forced change; the few passwords everybody tries are refused.
"""

import base64
import binascii
import ipaddress
import re
import unicodedata
from uuid import UUID

import msgspec
from email_validator import EmailNotValidError, validate_email

from leadflood.engine.errors import Invalid

LEAST_PASSWORD_CHARS = 12
MOST_PASSWORD_CHARS = 1_000
MOST_EMAIL_CHARS = 254
LEAST_DIFFERENT = 5
COMMON = frozenset(
    {
        "123456789012", "1234567890123", "12345678901234", "123456789123456", "1q2w3e4r5t6y",
        "abcdefghijkl", "administrator", "changeme1234", "iloveyou1234", "letmein123456",
        "leadflood123", "leadflood1234", "p@ssw0rd1234", "password1234", "password12345",
        "password123456", "passwordpassword", "qazwsxedcrfv", "qwerty123456", "qwertyuiop12",
        "qwertyuiop123", "qwertyuiopasdf", "welcome12345", "correcthorsebatterystaple",
        "correct horse battery staple", "1qaz2wsx3edc", "trustno1trustno1", "abc123abc123",
    }
)  # fmt: skip
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_API_KEY = re.compile(r"lf_([0-9a-f]{32})_([0-9a-f]{64})")
API_KEY_CHARS = 3 + 32 + 1 + 64


def normalize_email(given: str) -> str:
    """Write an address in the one form in which it is kept and compared. Raises: Invalid."""
    problem = "write one e-mail address, such as ann@example.com"
    if len(given) > MOST_EMAIL_CHARS:
        raise Invalid.field("email", problem, detail="email: is too long", code=_EMAIL)
    try:
        checked = validate_email(given.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise Invalid.field("email", problem, detail=f"email: {error}", code=_EMAIL) from error
    return unicodedata.normalize("NFKC", checked.normalized).lower()


def read_email(given: str) -> str:
    """Write an address that somebody logs in with as it would be kept; what is none stays odd."""
    return unicodedata.normalize("NFKC", given.strip()).lower()[:MOST_EMAIL_CHARS]


def normalize_password(given: str) -> str:
    """Write a password in the one form that is hashed."""
    return unicodedata.normalize("NFKC", given)


def check_password(password: str, email: str) -> None:
    """Refuse a password that is easily found, of a person with that address. Raises: Invalid."""
    normal = normalize_password(password)
    if problem := _problem_of(normal, email.lower()):
        raise Invalid.field("password", problem, code="auth.password.refused")


def _problem_of(password: str, email: str) -> str:
    lowered = password.lower()
    if len(password) < LEAST_PASSWORD_CHARS:
        return f"is too short: take at least {LEAST_PASSWORD_CHARS} characters"
    if len(password) > MOST_PASSWORD_CHARS:
        return f"is too long: take at most {MOST_PASSWORD_CHARS} characters"
    if email and lowered in {email, email.partition("@")[0]}:
        return "is the e-mail address: take another"
    if lowered.strip() in COMMON or len(set(lowered)) < LEAST_DIFFERENT:
        return "is among the first that anybody tries: take another"
    return ""


def decode_base64url(text: str) -> bytes | None:
    """Decode strictly: no padding, no other characters, no loose bits; None when it is not so."""
    if not _BASE64URL.fullmatch(text):
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if encode_base64url(raw) == text else None


def encode_base64url(raw: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


class KeyParts(msgspec.Struct, frozen=True):
    """An API key, taken apart."""

    id: UUID
    secret: str


def write_api_key(key_id: UUID, secret: str) -> str:
    """Put an API key together: `lf_<id>_<secret>`, always of the same length."""
    return f"lf_{key_id.hex}_{secret}"


def read_api_key(text: str) -> KeyParts | None:
    """Take an API key apart; None when it has not exactly our form."""
    found = _API_KEY.fullmatch(text) if len(text) == API_KEY_CHARS else None
    return KeyParts(UUID(hex=found[1]), found[2]) if found else None


def address_of(remote: str) -> str:
    """Tell whom an address stands for: an IPv6 customer has a whole /64, IPv4 may be mapped."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


_EMAIL = "accounts.email.invalid"
