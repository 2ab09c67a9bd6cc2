from uuid import UUID

import anyio
import msgspec
import pytest
from leadflood.domain.icp import repository
from leadflood.domain.icp.schemas import Autopilot, ExpectedVersion, Icp, IcpInput, Operator
from leadflood.domain.icp.service.icps import IcpService, WrittenVersion
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids
from tests.domain.icp.icps import a_rule, an_icp

NOBODY = UUID(int=1)
pytestmark = pytest.mark.pg


class Icps(IcpService):
    """The service, each change in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        clock = ManualClock()
        super().__init__(database, Ids(clock), clock)
        self._database = database

    async def write(self, request: IcpInput) -> Icp:
        async with self._database.transaction() as tx:
            return await self.create(tx, request)

    async def rewrite(
        self, icp_id: UUID, request: IcpInput, based_on: int | None = None
    ) -> WrittenVersion:
        async with self._database.transaction() as tx:
            return await self.update(tx, icp_id, request, ExpectedVersion(version=based_on))


async def test_an_icp_is_read_back_with_its_rules_in_order(database: Database) -> None:
    icps = Icps(database)
    rules = (
        a_rule("technologies", "CONTAINS", ("SAP", "Ü,\n")),
        a_rule("company_size", "BETWEEN", (50, 500.5), weight=2.5),
        a_rule("title", "MATCHES", r'^"vp" \d'),
    )

    written = await icps.write(an_icp(rules=rules, autopilot=Autopilot.HIGH))

    assert await icps.get(written.id) == written
    assert written.version == 1
    assert written.rules == rules


async def test_a_change_is_a_new_version_and_the_old_one_stays(database: Database) -> None:
    icps = Icps(database)
    first = await icps.write(an_icp())

    change = await icps.rewrite(first.profile_id, an_icp(offer="We sell more calm."))

    second = change.icp
    assert change.is_new
    assert (second.version, second.profile_id) == (2, first.profile_id)
    assert await icps.get(first.id) == first
    assert await icps.get_any(first.profile_id) == second


@pytest.mark.parametrize("by", ["version", "profile", "newest"])
async def test_a_version_is_resolved_in_an_open_transaction_by_its_one_connection(
    database: Database, database_settings: Settings, by: str
) -> None:
    icp = await Icps(database).write(an_icp())
    wanted = {"version": icp.id, "profile": icp.profile_id, "newest": None}[by]
    narrow = msgspec.structs.replace(database_settings, pool_size=1, acquire_timeout_seconds=0.05)

    async with open_database(narrow) as single, single.transaction() as tx:
        assert await Icps(single).resolve_version(wanted, tx) == icp.id


async def test_a_change_of_nothing_writes_no_version(database: Database) -> None:
    icps = Icps(database)
    first = await icps.write(an_icp())

    assert await icps.rewrite(first.id, an_icp()) == WrittenVersion(first, is_new=False)


async def test_a_change_of_an_older_version_is_a_conflict(database: Database) -> None:
    icps = Icps(database)
    first = await icps.write(an_icp())
    await icps.rewrite(first.profile_id, an_icp(offer="b"), based_on=1)

    with pytest.raises(Conflict):
        await icps.rewrite(first.profile_id, an_icp(offer="c"), based_on=1)


async def test_the_same_file_twice_is_one_version_and_a_changed_one_the_next(
    database: Database,
) -> None:
    icps = Icps(database)
    first = await icps.record(an_icp())

    again = await icps.record(an_icp(name="FINTECH in DACH", offer=an_icp().offer))
    same = await icps.record(an_icp())

    assert again.profile_id == first.profile_id
    assert again.version == 2
    assert same.version == 3


async def test_writers_at_once_make_versions_without_gaps(database: Database) -> None:
    icps = Icps(database)
    made: list[Icp] = []

    async def record(offer: str) -> None:
        made.append(await icps.record(an_icp(offer=offer)))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(record, f"offer {number}")

    assert sorted(icp.version for icp in made) == list(range(1, 9))
    assert len({icp.profile_id for icp in made}) == 1


async def test_a_version_cannot_be_changed_in_the_database(database: Database) -> None:
    first = await Icps(database).write(an_icp())

    for statement in (
        "UPDATE icp_profile SET offer = 'x' WHERE id = $1",
        "UPDATE qualification_rule SET weight = 0 WHERE icp_id = $1",
    ):
        with pytest.raises(Exception, match="never changed") as caught:
            await database.execute(Query("tamper", statement, ("id",)), id=first.id)
        assert sqlstate_of(caught.value) == "23514"


async def test_profiles_are_listed_by_their_newest_version_newest_first(database: Database) -> None:
    icps = Icps(database)
    older = await icps.write(an_icp(name="older"))
    newer = await icps.write(an_icp(name="newer"))
    older = (await icps.rewrite(older.id, an_icp(name="older", offer="changed"))).icp

    assert await icps.list_latest() == [newer, older]
    assert await icps.list_latest(before=newer.profile_id) == [older]


async def test_an_icp_that_does_not_exist_or_is_not_valid_is_refused(database: Database) -> None:
    icps = Icps(database)

    assert await icps.find(NOBODY) is None
    with pytest.raises(NotFound):
        await icps.get(NOBODY)
    with pytest.raises(NotFound):
        await icps.rewrite(NOBODY, an_icp())
    with pytest.raises(Invalid):
        await icps.write(an_icp(rules=(a_rule("title", Operator.MATCHES, "("),)))
    assert await repository.find_by_name(database, an_icp().name) is None
