"""Access tokens: JWTs of exactly one form, signed with a key named by `kid`.

`{"alg":"HS256","kid":"…","typ":"at+jwt"}` and `{iss, aud, sub, sid, iat, exp, jti}`; whatever has
another header, another claim, padding, loose bits or doubled parts is refused before or after its
signature is checked, always with the same answer. Time is the injected clock's.
"""

from datetime import datetime, timedelta
from uuid import UUID

import jwt
import msgspec

from leadflood.domain.accounts.rules import decode_base64url
from leadflood.engine.ids import Ids

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "leadflood"
AUDIENCE = "leadflood-api"
MOST_CHARS = 1_000
PARTS = 3


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only header there is: no `crit`, no key in or beside the token."""

    alg: str
    kid: str
    typ: str


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says: whose session, from when, until when (seconds since 1970)."""

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    iat: int
    exp: int
    jti: UUID


_HEADER = msgspec.json.Decoder(Header)
_CLAIMS = msgspec.json.Decoder(Claims)


class SigningKey(msgspec.Struct, frozen=True):
    """A key for tokens; `retired_at` None: new tokens are signed with it."""

    kid: str
    secret: bytes
    retired_at: datetime | None = None


def issue(
    key: SigningKey, user_id: UUID, session_id: UUID, ids: Ids, times: tuple[int, int]
) -> str:
    """Sign a token, from and until the seconds given."""
    claims = Claims(ISSUER, AUDIENCE, user_id, session_id, times[0], times[1], ids.new())
    return jwt.encode(
        msgspec.to_builtins(claims), key.secret, ALGORITHM, {"kid": key.kid, "typ": TYPE}
    )


def kid_of(token: str) -> str | None:
    """Tell which key a token names; None when it has not exactly our form."""
    parts = token.split(".") if len(token) <= MOST_CHARS else []
    raw = [decode_base64url(part) for part in parts]
    if len(raw) != PARTS or raw[0] is None or None in raw:
        return None
    try:
        header = _HEADER.decode(raw[0])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return header.kid if (header.alg, header.typ) == (ALGORITHM, TYPE) else None


def verify(token: str, key: SigningKey, now: datetime, leeway: timedelta) -> Claims | None:
    """Read a token that `key` signed; None when it did not, or it is not of now."""
    try:
        payload = jwt.api_jws.decode(token, key.secret, algorithms=[ALGORITHM])
        claims = _CLAIMS.decode(payload)
    except (jwt.InvalidTokenError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    seconds, slack = now.timestamp(), leeway.total_seconds()
    is_ours = (claims.iss, claims.aud) == (ISSUER, AUDIENCE)
    is_of_now = claims.iat - slack <= seconds < claims.exp + slack
    is_of_key = key.retired_at is None or claims.iat <= key.retired_at.timestamp() + MOST_LATE
    return claims if is_ours and is_of_now and is_of_key else None


MOST_LATE = 60.0
"""Seconds for which another node may still sign with a key just retired."""
