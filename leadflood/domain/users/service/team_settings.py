"""What holds for the whole team."""

from leadflood.domain.auth.schemas import SalesRepSees
from leadflood.domain.users.repository import SQL
from leadflood.domain.users.schemas import Team
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Row, Tx
from leadflood.engine.errors import Bug, PreconditionFailed


class TeamSettings:
    """Reads and changes the one row there is."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self) -> Team:
        """Tell what holds."""
        return _team_of(await self._db.fetch_one(SQL.find_team))

    async def change(self, tx: Tx, sees: SalesRepSees, version: int | None = None) -> Team:
        """Change what holds. Raises: PreconditionFailed."""
        team = _team_of(await tx.fetch_one(SQL.lock_team))
        if version not in (None, team.version):
            raise PreconditionFailed(
                f"the team's settings are at version {team.version}, not {version}",
                code="team.changed",
            )
        await tx.execute(SQL.change_team, sales_rep_sees=sees)
        return _team_of(await tx.fetch_one(SQL.find_team))


def _team_of(row: Row | None) -> Team:
    if row is None:
        raise Bug("the team's row is made by the migration and never deleted")
    return Team(version=row["version"], sales_rep_sees=SalesRepSees(row["sales_rep_sees"]))
