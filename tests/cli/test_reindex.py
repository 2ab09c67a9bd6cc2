from typing import Any

from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from tests.cli.conftest import OnDatabase
from tests.domain.leads.people import SEEN_AT, a_person
from tests.support.cli import Cli
from tests.support.statements import sql

SHOWN = sql(
    "SELECT lead.full_name, lead.title, lead.email, lead.sort_name, lead_text.words::text AS words"
    " FROM lead LEFT JOIN lead_text ON lead_text.lead_id = lead.id ORDER BY lead.id"
)


def test_lists_are_rebuilt_for_older_leads(cli: Cli, on_database: OnDatabase) -> None:
    async def bring(database: Database) -> list[Any]:
        people = [
            a_person(full_name=f"Zoë {n}", email=f"p{n}@firm.example", title="COO")
            for n in range(3)
        ]
        async with database.transaction() as tx:
            await upsert(tx, people, Ids(SystemClock()), SEEN_AT)
        shown = [tuple(row) for row in await database.fetch(SHOWN)]
        await database.execute(sql("DELETE FROM lead_text"))
        await database.execute(
            sql("UPDATE lead SET full_name = NULL, title = NULL, email = NULL, sort_name = ''")
        )
        return shown

    async def look(database: Database) -> list[Any]:
        return [tuple(row) for row in await database.fetch(SHOWN)]

    right = on_database(bring)

    data = cli("reindex")

    assert data.code == 0
    assert on_database(look) == right
    assert right[0][4] is not None
