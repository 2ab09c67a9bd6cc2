"""Who holds a credential, and what he may now: asked at every request, looked up once a second.

A verified token or key is remembered with what its holder may; what is remembered is at most
`recheck_seconds` old, so a session, user, role or key that changed on any node is seen by all
within that time, and at once by the node that changed it (`forget`).
"""

import hmac
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.accounts import tokens
from leadflood.domain.accounts.keys import hash_of, scopes_of
from leadflood.domain.accounts.rules import KeyParts, read_api_key
from leadflood.domain.accounts.schemas import (
    EVERYTHING,
    PERMISSIONS,
    Principal,
    PrincipalKind,
    Role,
    SalesRepSees,
    Settings,
    Visibility,
)
from leadflood.domain.accounts.signing import SigningKeys
from leadflood.domain.accounts.sql import SQL
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Row

MOST_REMEMBERED = 10_000


class _Known(msgspec.Struct, frozen=True):
    """A credential verified: whose, until when it is good, and when to look again (monotonic).

    `expires_at` None: it is good until it is revoked.
    """

    principal: Principal
    expires_at: datetime | None
    look_again_at: float


class Credentials:
    """Turns tokens and keys into principals."""

    def __init__(
        self, db: Database, clock: Clock, settings: Settings, signing: SigningKeys
    ) -> None:
        self._db = db
        self._clock = clock
        self._signing = signing
        self._recheck_seconds = settings.recheck_seconds
        self._leeway = timedelta(seconds=settings.leeway_seconds)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._epoch = 0

    def recall(self, credential: str) -> Principal | None:
        """Tell whose credential this is when that was looked up a moment ago; else None."""
        known = self._known.get(credential)
        if known is None or REAL_TIME.monotonic() >= known.look_again_at:
            return None
        if known.expires_at is not None and self._clock.now() >= known.expires_at:
            return None
        return known.principal

    async def find(self, credential: str) -> Principal | None:
        """Find whose credential this is; None: of nobody who may do anything now."""
        principal = self.recall(credential)
        if principal is not None:
            return principal
        epoch = self._epoch
        known = await self._look_up(credential)
        if known is None:
            self._known.pop(credential, None)
            return None
        if epoch == self._epoch:
            self._remember(credential, known)
        return known.principal

    async def find_again(self, holder: Principal) -> Principal | None:
        """Tell what a holder may now whose credential is not at hand; None: nothing any more."""
        now = self._clock.now()
        if holder.session_id is not None:
            row = await self._db.fetch_one(SQL.find_session_holder, id=holder.session_id, now=now)
            return None if row is None else _of_session(row, holder.session_id)
        if holder.kind is PrincipalKind.KEY and holder.id is not None:
            row = await self._db.fetch_one(SQL.find_key_holder, id=holder.id, now=now)
            return None if row is None else _of_key(row, holder.id)
        return holder if holder.kind is PrincipalKind.OPERATOR else None

    def forget(self) -> None:
        """Look everybody up anew: rights were changed here, and the change is committed."""
        self._epoch += 1
        self._known.clear()

    def _remember(self, credential: str, known: _Known) -> None:
        self._known[credential] = known
        self._known.move_to_end(credential)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def _look_up(self, credential: str) -> _Known | None:
        key = read_api_key(credential)
        return await (self._of_key(key) if key else self._of_token(credential))

    async def _of_token(self, token: str) -> _Known | None:
        asked_at = REAL_TIME.monotonic()
        kid = tokens.kid_of(token)
        key = None if kid is None else await self._signing.find(kid)
        now = self._clock.now()
        claims = None if key is None else tokens.verify(token, key, now, self._leeway)
        if claims is None:
            return None
        row = await self._db.fetch_one(SQL.find_session_holder, id=claims.sid, now=now)
        if row is None or row["user_id"] != claims.sub:
            return None
        principal = _of_session(row, claims.sid)
        expires_at = datetime.fromtimestamp(claims.exp, UTC) + self._leeway
        return _Known(principal, expires_at, asked_at + self._recheck_seconds)

    async def _of_key(self, given: KeyParts) -> _Known | None:
        asked_at, now = REAL_TIME.monotonic(), self._clock.now()
        row = await self._db.fetch_one(SQL.find_key_holder, id=given.id, now=now)
        if row is None or not hmac.compare_digest(bytes(row["hash"]), hash_of(given.secret)):
            return None
        used_at = row["last_used_at"]
        if used_at is None or now - used_at >= timedelta(minutes=1):
            await self._db.execute(SQL.note_key_use, id=given.id, now=now)
        principal = _of_key(row, given.id)
        return _Known(principal, row["expires_at"], asked_at + self._recheck_seconds)


def _of_session(row: Row, session_id: UUID) -> Principal:
    role = Role(row["role"])
    return Principal(
        kind=PrincipalKind.USER, name=row["email"], permissions=PERMISSIONS[role],
        id=row["user_id"], user_id=row["user_id"], session_id=session_id, role=role,
        visibility=_visibility(row, role),
    )  # fmt: skip


def _of_key(row: Row, key_id: UUID) -> Principal:
    role = Role(row["role"])
    return Principal(
        kind=PrincipalKind.KEY, name=row["name"],
        permissions=PERMISSIONS[role] & scopes_of(row["scopes"]), id=key_id,
        user_id=row["user_id"], role=role, visibility=_visibility(row, role),
    )  # fmt: skip


def _visibility(row: Row, role: Role) -> Visibility:
    is_limited = role is Role.SALES_REP and row["sales_rep_sees"] == SalesRepSees.OWN
    return Visibility(row["user_id"]) if is_limited else EVERYTHING
