from uuid import UUID

from leadflood.domain.duplicates.schemas import Settings
from leadflood.domain.duplicates.service import DuplicateSearch
from leadflood.engine.db.pool import Database
from tests.cli.conftest import OnDatabase
from tests.domain.leads.people import CLOCK, IDS, a_person, saved
from tests.support.cli import Cli


def suspect(on_database: OnDatabase, domain: str) -> None:
    async def make(database: Database) -> None:
        people = [
            a_person(email=f"{local}@{domain}", full_name="John Smith", company_domain=domain)
            for local in ("john", "john.smith")
        ]
        lead_ids = await saved(database, *people)
        async with database.transaction() as tx:
            await DuplicateSearch(Settings(), IDS, CLOCK).search(tx, lead_ids)

    on_database(make)


def test_duplicates_are_listed_merged_and_told_apart(cli: Cli, on_database: OnDatabase) -> None:
    for domain in ("one.example", "two.example"):
        suspect(on_database, domain)

    listed = cli("duplicates", "list", "--json").json
    table = cli("duplicates", "list")
    merged = cli("duplicates", "merge", listed[0]["id"])
    different = cli("duplicates", "different", listed[1]["id"])
    unknown = cli("duplicates", "merge", UUID(int=1))

    assert len(listed) == 2
    assert "John Smith" in table.out
    assert f"is lead {listed[0]['lead']['id']} now" in merged.out
    assert (different.code, unknown.code) == (0, 1)
    assert "there is no possible duplicate" in unknown.err
    assert cli("duplicates", "list", "--json").json == []
