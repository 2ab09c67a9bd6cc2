"""Device tokens: `base64url(device id · expiry · tag)`, given to the device of a login.

Whoever shows one at the next login is counted by the device, so that nobody's guesses, not even
those behind the same address, shut it out. The tag is keyed by the master secret over the user and
their password's hash too: a token is worth nothing for another account, nor after a new password.
It proves nothing else: the password is asked for as before.
"""

import hmac
from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.rules.base64url import decode_base64url, encode_base64url
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.users import User

TAG_BYTES = 16
BODY_BYTES = 16 + 6
MAX_CHARS = 200


class DeviceTokens:
    """Issues and reads device tokens."""

    def __init__(self, secret: MasterSecret) -> None:
        self._secret = secret

    def issue(self, user: User, device_id: UUID, expires_at: datetime) -> str:
        """Return a token of a device that a user logs in from."""
        body = device_id.bytes + int(expires_at.timestamp()).to_bytes(6, "big")
        return encode_base64url(body + self._tag(body, user))

    def find_device(self, token: str, user: User, now: datetime) -> UUID | None:
        """Return the device of a token; None when it is not this user's, or not in force now."""
        raw = decode_base64url(token) if len(token) <= MAX_CHARS else None
        if raw is None or len(raw) != BODY_BYTES + TAG_BYTES:
            return None
        body, tag = raw[:BODY_BYTES], raw[BODY_BYTES:]
        is_ours = hmac.compare_digest(tag, self._tag(body, user))
        is_in_force = now.timestamp() < int.from_bytes(body[16:], "big")
        return UUID(bytes=body[:16]) if is_ours and is_in_force else None

    def _tag(self, body: bytes, user: User) -> bytes:
        password_hash = (user.password_hash or "").encode()
        return self._secret.digest("device token", body, user.id.bytes, password_hash)[:TAG_BYTES]
