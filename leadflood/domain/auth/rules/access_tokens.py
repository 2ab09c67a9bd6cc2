"""Access tokens: JWTs of exactly one form, signed with a key named by `kid`.

`{"alg":"HS256","kid":"…","typ":"at+jwt"}` and `{iss, aud, sub, sid, iat, exp, jti}`; a token with
another header, another claim, padding, loose bits or doubled parts is refused, always with the
same answer. Pure: the time is a parameter.
"""

import json
from datetime import datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import jwt
import msgspec

from leadflood.domain.auth.rules.base64url import decode_base64url
from leadflood.engine.ids import Ids

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "leadflood"
AUDIENCE = "leadflood-api"
MAX_CHARS = 1_000
PARTS = 3
LATEST = 100_000_000_000
"""No instant of ours is later (in seconds since 1970): the year 5138."""
LATE_SIGNING_SECONDS = 60.0
"""For this long another node may still sign with a key just retired."""


Instant = Annotated[int, msgspec.Meta(ge=0, le=LATEST)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only header there is: no `crit`, no key in or beside the token."""

    alg: str
    kid: str
    typ: str


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claims of a token.

    `iss`, `aud`: always ours.
    `sub`: the user.
    `sid`: the session.
    `iat`, `exp`: from when, until when (seconds since 1970).
    `jti`: a fresh id.
    """

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    iat: Instant
    exp: Instant
    jti: UUID


PartT = TypeVar("PartT", bound=msgspec.Struct)
_HEADER = msgspec.json.Decoder(Header)
_CLAIMS = msgspec.json.Decoder(Claims)


class SigningKey(msgspec.Struct, frozen=True):
    """A key of access tokens; `retired_at` None: new tokens are signed with it."""

    kid: str
    secret: bytes
    retired_at: datetime | None = None


def issue(
    key: SigningKey, user_id: UUID, session_id: UUID, ids: Ids, times: tuple[int, int]
) -> str:
    """Return a signed token; `times` are the seconds of its issue and its expiry."""
    claims = Claims(ISSUER, AUDIENCE, user_id, session_id, times[0], times[1], ids.new())
    return jwt.encode(
        msgspec.to_builtins(claims), key.secret, ALGORITHM, {"kid": key.kid, "typ": TYPE}
    )


def find_kid(token: str) -> str | None:
    """Return the key id that a token names; None when the token has not exactly our form."""
    parts = token.split(".") if len(token) <= MAX_CHARS else []
    raw = [decode_base64url(part) for part in parts]
    if len(raw) != PARTS or raw[0] is None or None in raw:
        return None
    try:
        header = _decode(raw[0], _HEADER)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return header.kid if (header.alg, header.typ) == (ALGORITHM, TYPE) else None


def verify(token: str, key: SigningKey, now: datetime, leeway: timedelta) -> Claims | None:
    """Return the claims of a token; None when `key` did not sign it, or it is not in force now."""
    try:
        payload = jwt.api_jws.decode(token, key.secret, algorithms=[ALGORITHM])
        claims = _decode(payload, _CLAIMS)
    except (jwt.InvalidTokenError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    seconds, slack = now.timestamp(), leeway.total_seconds()
    is_ours = (claims.iss, claims.aud) == (ISSUER, AUDIENCE)
    is_in_force = claims.iat - slack <= seconds < claims.exp + slack
    is_before_retirement = (
        key.retired_at is None or claims.iat <= key.retired_at.timestamp() + LATE_SIGNING_SECONDS
    )
    return claims if is_ours and is_in_force and is_before_retirement else None


def _decode(raw: bytes, decoder: msgspec.json.Decoder[PartT]) -> PartT:
    """Decode a part of a token. Raises: DecodeError, for a member that comes twice too."""
    part = decoder.decode(raw)
    names = [name for name, _ in json.loads(raw, object_pairs_hook=list)]
    if len(names) != len(set(names)):
        raise msgspec.DecodeError("a member comes twice")
    return part
