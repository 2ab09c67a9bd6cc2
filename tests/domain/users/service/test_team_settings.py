import pytest
from leadflood.domain.auth.schemas.users import SalesRepSees
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import PreconditionFailed

pytestmark = pytest.mark.pg


async def test_a_change_counts_a_version_and_one_of_another_version_is_refused(
    database: Database,
) -> None:
    team = TeamSettings(database)
    before = await team.get()

    async with database.transaction() as tx:
        after = await team.change(tx, SalesRepSees.OWN, before.version)

    assert (after.version, after.sales_rep_sees) == (before.version + 1, SalesRepSees.OWN)
    with pytest.raises(PreconditionFailed):
        async with database.transaction() as tx:
            await team.change(tx, SalesRepSees.ALL, before.version)
