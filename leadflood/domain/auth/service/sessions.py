"""Sessions: a login lives as a family of refresh tokens, of which only the last one works.

A refresh token is `base64url(session id · generation · 24 random bytes · tag)`. The tag, keyed by
the master secret, tells a token that was once ours from an invented one: only the former, shown
again, ends the session, so nobody can end a session by knowing its id.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules import access_tokens as tokens
from leadflood.domain.auth.rules.master_secret import Vault
from leadflood.domain.auth.rules.passwords import decode_base64url, encode_base64url
from leadflood.domain.auth.schemas import Session, Settings, Tokens, UserState
from leadflood.domain.auth.service.signing_keys import SigningKeys
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids

TOKEN_BYTES = 16 + 4 + 24 + 16
MOST_AGENT_CHARS = 300


class Reused(msgspec.Struct, frozen=True):
    """A refresh token came a second time: its session is over now."""

    session_id: UUID
    user_id: UUID


class Renewed(msgspec.Struct, frozen=True):
    """New tokens of a session."""

    tokens: Tokens
    user_id: UUID


class _Presented(msgspec.Struct, frozen=True):
    session_id: UUID
    generation: int


class Sessions:
    """Opens, renews and ends sessions."""

    def __init__(
        self, clock: Clock, ids: Ids, settings: Settings, vault: Vault, signing: SigningKeys
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._vault = vault
        self._signing = signing

    async def open(self, tx: Tx, user_id: UUID, address: str, user_agent: str) -> Tokens:
        """Begin a session."""
        now, session_id = self._clock.now(), self._ids.new()
        refresh = self._make_refresh(session_id, 1)
        await tx.execute(
            SQL.add_session, id=session_id, user_id=user_id, now=now, address=address,
            expires_at=self._expiry(now, now), user_agent=user_agent[:MOST_AGENT_CHARS],
            token_hash=_hash(refresh),
        )  # fmt: skip
        return self._tokens(session_id, user_id, refresh)

    async def renew(self, tx: Tx, refresh_token: str, address: str) -> Renewed | Reused | None:
        """Exchange a refresh token for new tokens, once; None: it is none of ours, or over.

        A token that was used before ends its session: commit that.
        """
        given = self._read_refresh(refresh_token)
        row = None if given is None else await tx.fetch_one(SQL.lock_session, id=given.session_id)
        if given is None or row is None or not self._is_live(row):
            return None
        if not hmac.compare_digest(bytes(row["token_hash"]), _hash(refresh_token)):
            await self._end(tx, row["id"], row["user_id"], "reuse_detected")
            return Reused(row["id"], row["user_id"])
        now = self._clock.now()
        refresh = self._make_refresh(row["id"], row["generation"] + 1)
        await tx.execute(
            SQL.renew_session, id=row["id"], token_hash=_hash(refresh), now=now, address=address,
            expires_at=self._expiry(row["created_at"], now),
        )  # fmt: skip
        return Renewed(self._tokens(row["id"], row["user_id"], refresh), row["user_id"])

    async def list(
        self, db: Reader, user_id: UUID, current: UUID | None, before: UUID | None, limit: int
    ) -> list[Session]:
        """List a person's sessions in force, newest first."""
        rows = await db.fetch(
            SQL.list_sessions, user_id=user_id, before=before, limit=limit, now=self._clock.now()
        )
        return [
            Session(
                id=row["id"], created_at=row["created_at"], last_used_at=row["last_used_at"],
                expires_at=row["expires_at"], address=row["address"],
                user_agent=row["user_agent"], is_current=row["id"] == current,
            )
            for row in rows
        ]  # fmt: skip

    async def revoke(self, tx: Tx, session_id: UUID, user_id: UUID, reason: str) -> None:
        """End one session of a person. Raises: NotFound."""
        if not await self._end(tx, session_id, user_id, reason):
            raise NotFound(
                f"there is no session {session_id} of yours in force: list them for their ids",
                code="session.unknown",
            )

    async def revoke_all(
        self, tx: Tx, user_id: UUID, reason: str, spared: UUID | None = None
    ) -> int:
        """End all sessions of a person but the one spared; tell how many."""
        return await tx.execute(
            SQL.revoke_sessions, user_id=user_id, reason=reason, spared=spared,
            now=self._clock.now(),
        )  # fmt: skip

    async def _end(self, tx: Tx, session_id: UUID, user_id: UUID, reason: str) -> bool:
        ended = await tx.fetch_value(
            SQL.revoke_session, id=session_id, user_id=user_id, reason=reason,
            now=self._clock.now(),
        )  # fmt: skip
        return ended is not None

    def _is_live(self, row: Row) -> bool:
        is_live: bool = (
            row["revoked_at"] is None
            and row["expires_at"] > self._clock.now()
            and row["state"] == UserState.ACTIVE
        )
        return is_live

    def _expiry(self, created_at: datetime, now: datetime) -> datetime:
        return min(
            now + timedelta(days=self._settings.refresh_days),
            created_at + timedelta(days=self._settings.session_days),
        )

    def _tokens(self, session_id: UUID, user_id: UUID, refresh: str) -> Tokens:
        now = self._clock.now()
        ends = now + timedelta(minutes=self._settings.access_minutes)
        times = int(now.timestamp()), int(ends.timestamp())
        key = self._signing.newest()
        return Tokens(
            session_id=session_id,
            access_token=tokens.issue(key, user_id, session_id, self._ids, times),
            refresh_token=refresh,
            expires_at=datetime.fromtimestamp(times[1], now.tzinfo),
        )

    def _make_refresh(self, session_id: UUID, generation: int) -> str:
        body = session_id.bytes + generation.to_bytes(4, "big") + secrets.token_bytes(24)
        return encode_base64url(body + self._tag(body))

    def _read_refresh(self, token: str) -> _Presented | None:
        raw = decode_base64url(token) if len(token) <= 2 * TOKEN_BYTES else None
        if raw is None or len(raw) != TOKEN_BYTES:
            return None
        body, tag = raw[:-16], raw[-16:]
        if not hmac.compare_digest(tag, self._tag(body)):
            return None
        return _Presented(UUID(bytes=body[:16]), int.from_bytes(body[16:20], "big"))

    def _tag(self, body: bytes) -> bytes:
        return self._vault.digest("refresh token", body)[:16]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
