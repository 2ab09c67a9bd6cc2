import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting import repository
from leadflood.domain.drafting.schemas import Template
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids

pytestmark = pytest.mark.pg
CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=1)
EMAIL = Template(
    name="first_touch", version=0, channel=Channel.EMAIL, subject="Hi", body="{{ offer }}"
)


async def add(database: Database, template: Template) -> int:
    async with database.transaction() as tx:
        view = await repository.add_template(tx, IDS.new(), template, "ann", CLOCK.now())
    assert view is not None
    return view.version


async def test_each_version_of_a_text_follows_the_last_and_the_newest_is_found(
    database: Database,
) -> None:
    versions = [await add(database, EMAIL), await add(database, EMAIL)]

    templates = await repository.find_templates(database, "first_touch", "en")
    [newest] = await repository.list_templates(database)

    assert versions == [1, 2]
    assert templates[Channel.EMAIL].version == newest.version == 2


async def test_a_version_is_found_with_all_versions_of_its_text_newest_first(
    database: Database,
) -> None:
    for _ in range(3):
        await add(database, EMAIL)
    [newest] = await repository.list_templates(database)
    assert newest.id is not None

    detail = await repository.find_template(database, newest.id)

    assert detail is not None
    assert [version.version for version in detail.versions] == [3, 2, 1]
    assert await repository.find_template(database, IDS.new()) is None
