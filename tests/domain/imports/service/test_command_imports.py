from pathlib import Path
from uuid import UUID

import pytest
from leadflood.domain.auth.schemas.principals import EVERYTHING
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.imports.service.command_imports import CommandImports
from leadflood.domain.imports.service.lookup import get_import
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids

DATA = Path(__file__).parents[1] / "data"
CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=9)
IMPORTS = CommandImports(AddressKey(b"k" * 32), IDS, CLOCK)
ICP = UUID(int=1)
pytestmark = pytest.mark.pg


async def test_a_file_is_imported_once_however_often_it_is_tried(database: Database) -> None:
    file = read_csv((DATA / "salesforce_leads.csv").read_bytes())
    new = NewImport(run_id=IDS.new(), icp_id=ICP, name="salesforce_leads.csv")
    events = []

    for _ in range(2):
        async with database.transaction() as tx:
            await IMPORTS.start_import(tx, new, file)
            events.append(await IMPORTS.import_rows(tx, new, file.rows))

    counts = (await get_import(database, new.run_id, EVERYTHING)).counts
    assert [len(created) for created in events] == [2, 0]
    assert (counts.created, counts.duplicate, counts.bad) == (2, 0, 1)


async def test_rows_that_name_one_person_start_one_lead(database: Database) -> None:
    text = b"email,name,company\na@b.example,Ann Lee,B\nA@B.example,Ann,B\n,Bob Ray,C\n,BOB RAY,c\n"
    file = read_csv(text)
    new = NewImport(run_id=IDS.new(), icp_id=ICP, name="twice.csv")

    async with database.transaction() as tx:
        await IMPORTS.start_import(tx, new, file)
        first = await IMPORTS.import_rows(tx, new, file.rows[:1])
        rest = await IMPORTS.import_rows(tx, new, file.rows[1:])

    assert (len(first), len(rest)) == (1, 1)


async def test_rows_without_a_key_and_with_ids_are_found_again_chunk_by_chunk(
    database: Database,
) -> None:
    lines = (
        "Contact ID,First name,Last name,Company",
        *(",Anna,,Equal",) * 3,
        "A-17,Eva,Low,Equal",
        "A-23,Eva,Low,Equal",
    )
    file = read_csv("\n".join(lines).encode())
    leads = []

    for chunk in (1, 2, 5):
        new = NewImport(run_id=IDS.new(), icp_id=ICP, name="equal.csv")
        async with database.transaction() as tx:
            await IMPORTS.start_import(tx, new, file)
            for start in range(0, len(file.rows), chunk):
                await IMPORTS.import_rows(tx, new, file.rows[start : start + chunk])
        leads.append(await IMPORTS.list_leads(database, new.run_id))

    assert len(set(leads[0].values())) == len(lines) - 1
    assert leads[0] == leads[1] == leads[2]
