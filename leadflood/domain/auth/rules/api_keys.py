"""API keys: their text form, scopes and hash. Pure."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.credentials import NewApiKey
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.engine.errors import FieldProblem, Invalid

_FORM = re.compile(r"lf_([0-9a-f]{32})_([0-9a-f]{64})")
MAX_LIFETIME = timedelta(days=366)
KEY_CHARS = 3 + 32 + 1 + 64


class ApiKeyParts(msgspec.Struct, frozen=True):
    """An API key, parsed."""

    id: UUID
    secret: str


def format_api_key(key_id: UUID, secret: str) -> str:
    """Return the text of a key: `lf_<id>_<secret>`, always of the same length."""
    return f"lf_{key_id.hex}_{secret}"


def parse_api_key(text: str) -> ApiKeyParts | None:
    """Parse the text of a key; None when it has not exactly our form."""
    match = _FORM.fullmatch(text) if len(text) == KEY_CHARS else None
    return ApiKeyParts(UUID(hex=match[1]), match[2]) if match else None


def hash_secret(secret: str) -> bytes:
    """Hash the secret of a key: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def parse_scopes(names: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions named; a name that this release does not have allows nothing."""
    defined = set(Permission)
    return frozenset(Permission(name) for name in names if name in defined)


def check_new_key(new: NewApiKey, permissions: frozenset[Permission], now: datetime) -> None:
    """Refuse scopes beyond the owner's permissions, none at all, a past expiry and a far one.

    Raises: Invalid.
    """
    problems = []
    if beyond := sorted(new.scopes - permissions):
        problems.append(FieldProblem("scopes", f"you do not have {', '.join(beyond)}"))
    if not new.scopes:
        problems.append(FieldProblem("scopes", "name at least one permission"))
    if new.expires_at is not None and not now < new.expires_at <= now + MAX_LIFETIME:
        problem = f"write an instant within {MAX_LIFETIME.days} days, or leave it out"
        problems.append(FieldProblem("expiresAt", problem))
    if problems:
        raise Invalid.of(problems, code="auth.api_key.refused")
