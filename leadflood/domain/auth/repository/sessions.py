"""Sessions: one function per query."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.schemas.credentials import Session
from leadflood.domain.auth.schemas.users import UserState
from leadflood.engine.db.tx import Reader, Tx


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to be stored.

    `id`, `user_id`: whose session this is.
    `created_at`, `expires_at`: instants.
    `address`, `user_agent`: the client that opened it.
    `token_hash`: of its refresh token.
    """

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    token_hash: bytes


class LockedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session nobody else renews until the transaction ends.

    `id`, `user_id`, `created_at`, `expires_at`: as in `NewSession`.
    `token_hash`, `generation`: of the last refresh token.
    `revoked_at`: None while the session is in force.
    `state`: its user's.
    """

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    token_hash: bytes
    generation: int
    revoked_at: datetime | None
    state: UserState

    def is_in_force(self, now: datetime) -> bool:
        """Whether the session may be renewed."""
        return self.revoked_at is None and self.expires_at > now and self.state is UserState.ACTIVE


async def add_session(tx: Tx, session: NewSession) -> None:
    """Insert a session."""
    await tx.execute(
        SQL.add_session,
        id=session.id,
        user_id=session.user_id,
        now=session.created_at,
        expires_at=session.expires_at,
        address=session.address,
        user_agent=session.user_agent,
        token_hash=session.token_hash,
    )


async def end_oldest_sessions(tx: Tx, user_id: UUID, limit: int, now: datetime) -> None:
    """End a user's sessions in force but for the newest."""
    await tx.execute(SQL.end_oldest_sessions, user_id=user_id, limit=limit, now=now)


async def has_proof(db: Reader, session_id: UUID, since: datetime) -> bool:
    """Whether the holder of a session proved who they are since an instant."""
    return bool(await db.fetch_value(SQL.has_proof, id=session_id, since=since))


async def record_session_proof(tx: Tx, session_id: UUID, now: datetime) -> None:
    """Record that the holder of a session proved again who they are."""
    await tx.execute(SQL.record_session_proof, id=session_id, now=now)


async def lock_session(tx: Tx, session_id: UUID) -> LockedSession | None:
    """Lock a session for its renewal."""
    row = await tx.fetch_one(SQL.lock_session, id=session_id)
    if row is None:
        return None
    return msgspec.convert(dict(row.items()), LockedSession, builtin_types=(bytes, datetime, UUID))


async def renew_session(
    tx: Tx,
    session_id: UUID,
    token_hash: bytes,
    address: str,
    times: tuple[datetime, datetime],
) -> None:
    """Store the next refresh token; `times` are now and the new expiry."""
    now, expires_at = times
    await tx.execute(
        SQL.renew_session,
        id=session_id,
        token_hash=token_hash,
        address=address,
        now=now,
        expires_at=expires_at,
    )


async def list_sessions(
    db: Reader, user_id: UUID, before: UUID | None, limit: int, now: datetime
) -> list[Session]:
    """List a user's sessions in force, newest first; none of them is marked as current."""
    rows = await db.fetch(SQL.list_sessions, user_id=user_id, before=before, limit=limit, now=now)
    return [
        Session(
            id=row["id"],
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
            expires_at=row["expires_at"],
            address=row["address"],
            user_agent=row["user_agent"],
            is_current=False,
        )
        for row in rows
    ]


async def revoke_session(
    tx: Tx, session_id: UUID, user_id: UUID, reason: str, now: datetime
) -> bool:
    """End one session of a user; False when it is not in force, or not theirs."""
    row = await tx.fetch_value(
        SQL.revoke_session, id=session_id, user_id=user_id, reason=reason, now=now
    )
    return row is not None


async def revoke_sessions(
    tx: Tx, user_id: UUID, reason: str, now: datetime, spared: UUID | None = None
) -> int:
    """End all sessions of a user but the one spared; return how many."""
    return await tx.execute(
        SQL.revoke_sessions, user_id=user_id, reason=reason, spared=spared, now=now
    )
