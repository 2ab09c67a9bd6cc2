"""Keeps people: one function per query."""

from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.schemas import Role, User, UserState
from leadflood.engine.db.tx import Reader, Row, Tx


async def find_user(db: Reader, user_id: UUID) -> User | None:
    """Find a person by id."""
    row = await db.fetch_one(SQL.find_user, id=user_id)
    return user_of(row) if row else None


async def find_by_email(db: Reader, email: str) -> User | None:
    """Find a person by the address he logs in with."""
    row = await db.fetch_one(SQL.find_user_by_email, email=email)
    return user_of(row) if row else None


async def lock_user(tx: Tx, user_id: UUID) -> User | None:
    """Find a person whom nobody else changes until the transaction ends."""
    row = await tx.fetch_one(SQL.lock_user, id=user_id)
    return user_of(row) if row else None


async def add_user(tx: Tx, user: User) -> bool:
    """Write a new person; tell whether the address was free."""
    made = await tx.fetch_value(
        SQL.add_user, id=user.id, email=user.email, name=user.name, role=user.role,
        state=user.state, password_hash=user.password_hash, now=user.created_at,
    )  # fmt: skip
    return made is not None


async def change_user(tx: Tx, user: User, now: datetime) -> None:
    """Write a person's name, role and state."""
    await tx.execute(
        SQL.change_user, id=user.id, name=user.name, role=user.role, state=user.state, now=now
    )


async def has_active_user(db: Reader) -> bool:
    """Tell whether anybody has claimed this installation."""
    return bool(await db.fetch_value(SQL.has_active_user))


def user_of(row: Row) -> User:
    """Return the user that a row holds."""
    return User(
        id=row["id"],
        version=row["version"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        state=UserState(row["state"]),
        password_hash=row["password_hash"],
        totp_secret=row["totp_secret"],
        totp_confirmed_at=row["totp_confirmed_at"],
        totp_last_step=row["totp_last_step"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_login_at=row["last_login_at"],
    )
