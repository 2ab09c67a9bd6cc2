"""Sessions: a login is a chain of refresh tokens, of which only the last one works.

A refresh token that was replaced and comes again was stolen, or its holder was: the session ends.
"""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import principals, sessions
from leadflood.domain.auth.repository.sessions import LockedSession, NewSession
from leadflood.domain.auth.rules import access_tokens
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.rules.refresh_tokens import RefreshTokens, hash_token
from leadflood.domain.auth.schemas.credentials import Session, SessionTokens
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.signing_keys import SigningKeys
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Denied, NotFound
from leadflood.engine.ids import Ids

MAX_USER_AGENT_CHARS = 300
MAX_SESSIONS = 50
"""Of a user, the newest; older ones end when another is opened."""


class ReusedToken(msgspec.Struct, frozen=True):
    """A refresh token came a second time: its session is over now."""

    session_id: UUID
    user_id: UUID


class RenewedSession(msgspec.Struct, frozen=True):
    """New tokens of a session."""

    tokens: SessionTokens
    user_id: UUID


class Sessions:
    """Opens, renews and ends sessions."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        secret: MasterSecret,
        signing_keys: SigningKeys,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._refresh_tokens = RefreshTokens(secret)
        self._signing_keys = signing_keys
        self._access_lifetime = timedelta(minutes=settings.access_minutes)
        self._idle_lifetime = timedelta(days=settings.refresh_days)
        self._max_lifetime = timedelta(days=settings.session_days)
        self._proof_lifetime = timedelta(minutes=settings.proof_minutes)

    async def open(self, tx: Tx, user_id: UUID, address: str, user_agent: str) -> SessionTokens:
        """Open a session; the oldest of too many ends."""
        now, session_id = self._clock.now(), self._ids.new()
        refresh_token = self._refresh_tokens.issue(session_id, 1)
        await sessions.add_session(
            tx,
            NewSession(
                id=session_id,
                user_id=user_id,
                created_at=now,
                expires_at=self._expiry(now, now),
                address=address,
                user_agent=user_agent[:MAX_USER_AGENT_CHARS],
                token_hash=hash_token(refresh_token),
            ),
        )
        await sessions.end_oldest_sessions(tx, user_id, MAX_SESSIONS, now)
        return self._tokens_of(session_id, user_id, refresh_token)

    async def is_in_force(self, db: Reader, session_id: UUID) -> bool:
        """Whether a session lets its user in now."""
        now = self._clock.now()
        return await principals.find_session_principal(db, session_id, now) is not None

    async def require_proof(self, db: Reader, session_id: UUID | None) -> None:
        """Refuse a session whose holder did not prove lately who they are. Raises: Denied.

        A token alone, which can be stolen, makes nothing that outlives it.
        """
        since = self._clock.now() - self._proof_lifetime
        if session_id is None or not await sessions.has_proof(db, session_id, since):
            minutes = self._proof_lifetime.total_seconds() / 60
            raise Denied(
                "prove that it is you: POST /v1/auth/proof with your password, or a code of your"
                " second factor where one is in force; it holds"
                f" for {minutes:g} minutes, as logging in does",
                code="auth.proof.needed",
            )

    async def record_proof(self, tx: Tx, session_id: UUID) -> datetime:
        """Record that the holder proved who they are; return until when it holds."""
        now = self._clock.now()
        await sessions.record_session_proof(tx, session_id, now)
        return now + self._proof_lifetime

    async def renew(
        self, tx: Tx, refresh_token: str, address: str
    ) -> RenewedSession | ReusedToken | None:
        """Exchange a refresh token for new tokens, once; None when it is not valid.

        A token that was used before ends its session: commit that.
        """
        session = await self._lock(tx, refresh_token)
        if session is None:
            return None
        if not hmac.compare_digest(session.token_hash, hash_token(refresh_token)):
            await self._revoke(tx, session.id, session.user_id, "reuse_detected")
            return ReusedToken(session.id, session.user_id)
        now = self._clock.now()
        next_token = self._refresh_tokens.issue(session.id, session.generation + 1)
        times = (now, self._expiry(session.created_at, now))
        await sessions.renew_session(tx, session.id, hash_token(next_token), address, times)
        tokens = self._tokens_of(session.id, session.user_id, next_token)
        return RenewedSession(tokens, session.user_id)

    async def list(
        self, db: Reader, user_id: UUID, current: UUID | None, before: UUID | None, limit: int
    ) -> list[Session]:
        """List a user's sessions in force, newest first; `current` marks one of them."""
        rows = await sessions.list_sessions(db, user_id, before, limit, self._clock.now())
        return [msgspec.structs.replace(row, is_current=row.id == current) for row in rows]

    async def revoke(self, tx: Tx, session_id: UUID, user_id: UUID, reason: str) -> None:
        """End one session of a user. Raises: NotFound."""
        if not await self._revoke(tx, session_id, user_id, reason):
            raise NotFound(
                f"there is no session {session_id} of yours in force: list them for their ids",
                code="auth.session.not_found",
            )

    async def _lock(self, tx: Tx, refresh_token: str) -> LockedSession | None:
        session_id = self._refresh_tokens.find_session_id(refresh_token)
        session = None if session_id is None else await sessions.lock_session(tx, session_id)
        is_in_force = session is not None and session.is_in_force(self._clock.now())
        return session if is_in_force else None

    async def _revoke(self, tx: Tx, session_id: UUID, user_id: UUID, reason: str) -> bool:
        return await sessions.revoke_session(tx, session_id, user_id, reason, self._clock.now())

    def _expiry(self, created_at: datetime, now: datetime) -> datetime:
        return min(now + self._idle_lifetime, created_at + self._max_lifetime)

    def _tokens_of(self, session_id: UUID, user_id: UUID, refresh_token: str) -> SessionTokens:
        now = self._clock.now()
        issued_at, expires_at = int(now.timestamp()), int((now + self._access_lifetime).timestamp())
        key = self._signing_keys.newest()
        return SessionTokens(
            session_id=session_id,
            access_token=access_tokens.issue(
                key, user_id, session_id, self._ids, (issued_at, expires_at)
            ),
            refresh_token=refresh_token,
            expires_at=datetime.fromtimestamp(expires_at, now.tzinfo),
        )
