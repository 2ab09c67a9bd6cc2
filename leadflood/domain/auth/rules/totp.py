"""TOTP codes of an authenticator app, and recovery codes. Pure but for the dice.

Source: RFC 6238 (30 s steps, SHA-1, six digits: what every app understands), RFC 4226.
"""

import hmac
import re
import secrets
from datetime import datetime

import pyotp

STEP_SECONDS = 30
ALLOWED_DRIFT_STEPS = (0, -1, 1)
SECRET_CHARS = 32
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(rf"[{_ALPHABET}]{{12}}")


def make_secret() -> str:
    """Return the secret of a new second factor: 160 bits in base32."""
    return pyotp.random_base32(SECRET_CHARS)


def provisioning_uri(secret: str, email: str) -> str:
    """Return the otpauth URI that an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="leadflood")


def is_code(text: str) -> bool:
    """Whether a text has the form of an app's code."""
    return _CODE.fullmatch(_strip(text)) is not None


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step of a code, one step of drift allowed; None when the code is wrong."""
    present = int(now.timestamp()) // STEP_SECONDS
    hotp, digits, step = pyotp.HOTP(secret), _strip(code), None
    for drift in ALLOWED_DRIFT_STEPS:
        if hmac.compare_digest(hotp.at(present + drift).encode(), digits.encode()):
            step = present + drift if step is None else step
    return step


def make_recovery_codes() -> tuple[str, ...]:
    """Return new recovery codes: 59 bits each, in two groups."""
    codes = ("".join(secrets.choice(_ALPHABET) for _ in range(12)) for _ in range(RECOVERY_CODES))
    return tuple(f"{code[:6]}-{code[6:]}" for code in codes)


def normalize_recovery_code(text: str) -> str | None:
    """Return a recovery code as it is hashed; None when the text has not that form."""
    code = _strip(text)
    return code if _RECOVERY.fullmatch(code) else None


def _strip(text: str) -> str:
    return text.replace(" ", "").replace("-", "").lower()
