"""User rows: one function per query."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.schemas.users import User
from leadflood.engine.db.tx import Reader, Row, Tx


async def has_active_user(db: Reader) -> bool:
    """Whether anybody has claimed this installation."""
    return bool(await db.fetch_value(SQL.has_active_user))


async def find_user(db: Reader, user_id: UUID) -> User | None:
    """Find a user by id."""
    row = await db.fetch_one(SQL.find_user, id=user_id)
    return _user_of(row) if row else None


async def find_user_by_email(db: Reader, email: str) -> User | None:
    """Find a user by the address they log in with."""
    row = await db.fetch_one(SQL.find_user_by_email, email=email)
    return _user_of(row) if row else None


async def lock_user(tx: Tx, user_id: UUID) -> User | None:
    """Find a user whom nobody else changes until the transaction ends."""
    row = await tx.fetch_one(SQL.lock_user, id=user_id)
    return _user_of(row) if row else None


async def add_user(tx: Tx, user: User) -> bool:
    """Insert a user; False when the address is taken."""
    user_id = await tx.fetch_value(
        SQL.add_user,
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        state=user.state,
        password_hash=user.password_hash,
        now=user.created_at,
    )
    return user_id is not None


async def update_user(tx: Tx, user: User, now: datetime) -> None:
    """Update a user's name, role and state."""
    await tx.execute(
        SQL.update_user, id=user.id, name=user.name, role=user.role, state=user.state, now=now
    )


async def set_password(tx: Tx, user_id: UUID, password_hash: str, now: datetime) -> None:
    """Set a new password; an invited user is active with it."""
    await tx.execute(SQL.set_password, id=user_id, password_hash=password_hash, now=now)


async def renew_password_hash(tx: Tx, user: User, password_hash: str) -> None:
    """Replace the hash of an unchanged password."""
    await tx.execute(
        SQL.renew_password_hash,
        id=user.id,
        password_hash=password_hash,
        former=user.password_hash,
    )


async def set_user_name(tx: Tx, user_id: UUID, name: str) -> None:
    """Set the name that users give themselves."""
    await tx.execute(SQL.set_user_name, id=user_id, name=name)


async def record_login(tx: Tx, user_id: UUID, now: datetime) -> None:
    """Record when a user logged in last."""
    await tx.execute(SQL.record_login, id=user_id, now=now)


def _user_of(row: Row) -> User:
    return msgspec.convert(dict(row.items()), User, builtin_types=(bytes, datetime, UUID))
