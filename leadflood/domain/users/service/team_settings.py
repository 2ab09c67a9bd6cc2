"""Team settings: the one row that holds for everybody."""

from leadflood.domain.auth.schemas.users import SalesRepSees
from leadflood.domain.users import repository
from leadflood.domain.users.schemas import Team
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import PreconditionFailed


class TeamSettings:
    """Reads and changes the team's settings."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, tx: Tx | None = None) -> Team:
        """Get the settings; `tx` where one is open."""
        return await repository.get_team(tx or self._db)

    async def change(
        self, tx: Tx, sales_rep_sees: SalesRepSees, version: int | None = None
    ) -> Team:
        """Change which leads a SALES_REP sees. Raises: PreconditionFailed."""
        team = await repository.lock_team(tx)
        if version not in (None, team.version):
            raise PreconditionFailed(
                f"the team's settings are at version {team.version}, not {version}",
                code="team.version_conflict",
            )
        await repository.update_team(tx, sales_rep_sees)
        return await repository.get_team(tx)
