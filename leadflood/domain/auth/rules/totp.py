"""Codes of an authenticator app, and the codes for when it is lost. Pure but for the dice.

Source: RFC 6238 (30 s steps, SHA-1, six digits: what every app understands), RFC 4226.
"""

import hmac
import re
import secrets
from datetime import datetime

import pyotp

STEP_SECONDS = 30
STEPS_AROUND = (0, -1, 1)
SECRET_CHARS = 32
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(rf"[{_ALPHABET}]{{12}}")


def make_secret() -> str:
    """Make the secret of a second factor: 160 bits in base32."""
    return pyotp.random_base32(SECRET_CHARS)


def uri_of(secret: str, email: str) -> str:
    """Write the otpauth URI that an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="leadflood")


def is_code(text: str) -> bool:
    """Tell whether this has the form of an app's code."""
    return _CODE.fullmatch(_plain(text)) is not None


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Find the time step that a code belongs to, one step of drift allowed; None: a wrong code."""
    present = int(now.timestamp()) // STEP_SECONDS
    hotp, given, found = pyotp.HOTP(secret), _plain(code), None
    for around in STEPS_AROUND:
        if hmac.compare_digest(hotp.at(present + around).encode(), given.encode()):
            found = present + around if found is None else found
    return found


def make_recovery_codes() -> tuple[str, ...]:
    """Make recovery codes: 59 bits each, in two groups."""
    made = ("".join(secrets.choice(_ALPHABET) for _ in range(12)) for _ in range(RECOVERY_CODES))
    return tuple(f"{code[:6]}-{code[6:]}" for code in made)


def read_recovery_code(text: str) -> str | None:
    """Write a recovery code as it is hashed; None when it has not that form."""
    plain = _plain(text)
    return plain if _RECOVERY.fullmatch(plain) else None


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("-", "").lower()
