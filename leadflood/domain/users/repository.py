"""Users and team settings in the database."""

from uuid import UUID

from leadflood.domain.auth.repository.users import user_of
from leadflood.domain.auth.schemas import User
from leadflood.domain.users.schemas import UserFilter
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader

SQL = load_queries(__file__)


async def list_users(db: Reader, wanted: UserFilter, before: UUID | None, limit: int) -> list[User]:
    """List people, newest first."""
    rows = await db.fetch(
        SQL.list_users, before=before, limit=limit, role=wanted.role, state=wanted.state,
        text=wanted.text,
    )  # fmt: skip
    return [user_of(row) for row in rows]
