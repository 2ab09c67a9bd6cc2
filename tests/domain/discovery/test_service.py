from uuid import UUID

import msgspec
import pytest
from leadflood.contracts.ports.people import PeopleQuery
from leadflood.domain.discovery.schemas import NewDiscovery, PageWanted
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound
from leadflood.engine.ids import Ids

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=4)


@pytest.mark.pg
async def test_a_discovery_starts_once_and_says_what_is_wrong(database: Database) -> None:
    service = DiscoveryService(CLOCK, ["apollo"])
    new = NewDiscovery(
        run_id=IDS.new(), icp_id=IDS.new(), provider="pdl", query=PeopleQuery(), wanted_count=0
    )

    with pytest.raises(Invalid) as refused:
        async with database.transaction() as tx:
            await service.start(tx, new)

    assert [problem.path for problem in refused.value.fields] == ["provider", "maxLeads"]
    again = msgspec.structs.replace(new, provider="apollo", wanted_count=1)
    async with database.transaction() as tx:
        page = await service.start(tx, again)
    assert page == PageWanted(discovery_run_id=new.run_id, cursor=None, page=1)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await service.start(tx, again)
    with pytest.raises(NotFound):
        await service.get(database, UUID(int=7))


def test_without_a_source_the_missing_setting_is_named() -> None:
    assert DiscoveryService(CLOCK, ["apollo"]).require_sources() == ("apollo",)
    with pytest.raises(NotConfigured, match="api_key"):
        DiscoveryService(CLOCK, []).require_sources()
