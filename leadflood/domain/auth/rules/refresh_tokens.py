"""Refresh tokens: `base64url(session id · generation · 24 random bytes · tag)`. Pure but for dice.

The tag is keyed by the master secret: it separates a token that was once issued from an invented
one, so that nobody can end a session by knowing its id.
"""

import hashlib
import hmac
import secrets
from uuid import UUID

from leadflood.domain.auth.rules.base64url import decode_base64url, encode_base64url
from leadflood.domain.auth.rules.master_secret import MasterSecret

TAG_BYTES = 16
TOKEN_BYTES = 16 + 4 + 24 + TAG_BYTES


class RefreshTokens:
    """Issues and parses refresh tokens."""

    def __init__(self, secret: MasterSecret) -> None:
        self._secret = secret

    def issue(self, session_id: UUID, generation: int) -> str:
        """Return a new token of a session."""
        body = session_id.bytes + generation.to_bytes(4, "big") + secrets.token_bytes(24)
        return encode_base64url(body + self._tag(body))

    def find_session_id(self, token: str) -> UUID | None:
        """Return the session that a token was issued for; None when it is none of ours."""
        raw = decode_base64url(token) if len(token) <= 2 * TOKEN_BYTES else None
        if raw is None or len(raw) != TOKEN_BYTES:
            return None
        body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
        return UUID(bytes=body[:16]) if hmac.compare_digest(tag, self._tag(body)) else None

    def _tag(self, body: bytes) -> bytes:
        return self._secret.digest("refresh token", body)[:TAG_BYTES]


def hash_token(token: str) -> bytes:
    """Hash a token as it is stored: 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
