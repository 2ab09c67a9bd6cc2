"""Lists of users, read from the rows that `auth` owns, and the team's settings."""

from uuid import UUID

from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import SalesRepSees, UserState, UserView
from leadflood.domain.users.schemas import Team, UserFilter
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import Bug

SQL = load_queries(__file__)


async def list_users(
    db: Reader, filters: UserFilter, before: UUID | None, limit: int
) -> list[UserView]:
    """List users, newest first."""
    rows = await db.fetch(
        SQL.list_users,
        before=before,
        limit=limit,
        role=filters.role,
        state=filters.state,
        text=filters.text,
    )
    return [_view_of(row) for row in rows]


async def lock_administrators(tx: Tx) -> None:
    """Lock the set of administrators until the transaction ends. Waits: for its other holders."""
    await tx.execute(SQL.lock_administrators)


async def count_other_admins(tx: Tx, user_id: UUID) -> int:
    """Count the active administrators beside a user."""
    return int(await tx.fetch_value(SQL.count_other_admins, id=user_id))


async def get_team(db: Reader) -> Team:
    """Get the team's settings."""
    return _team_of(await db.fetch_one(SQL.find_team))


async def lock_team(tx: Tx) -> Team:
    """Get the team's settings, which nobody else changes until the transaction ends."""
    return _team_of(await tx.fetch_one(SQL.lock_team))


async def update_team(tx: Tx, sales_rep_sees: SalesRepSees) -> None:
    """Update the team's settings."""
    await tx.execute(SQL.update_team, sales_rep_sees=sales_rep_sees)


def _view_of(row: Row) -> UserView:
    return UserView(
        id=row["id"],
        version=row["version"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        state=UserState(row["state"]),
        has_totp=row["has_totp"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_login_at=row["last_login_at"],
    )


def _team_of(row: Row | None) -> Team:
    if row is None:
        raise Bug("the team's row is made by the migration and never deleted")
    return Team(version=row["version"], sales_rep_sees=SalesRepSees(row["sales_rep_sees"]))
