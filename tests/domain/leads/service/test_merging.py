import pytest
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound
from tests.domain.leads.people import CLOCK, IDS, a_person, email_of, learned, saved

MERGING = LeadMerging(IDS, CLOCK)
pytestmark = pytest.mark.pg


async def test_an_undone_merge_stays_undone(database: Database) -> None:
    older, younger = await saved(database, a_person(("x", "1")), a_person(("x", "2")))
    await learned(database, email_of(older, "a@acme.example"), email_of(younger, "a@acme.example"))

    async with database.transaction() as tx:
        await MERGING.unmerge(tx, younger, Editor(by="ann"))
    who = await learned(database, email_of(younger, "a@acme.example"))

    assert who == {younger: younger}
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await MERGING.unmerge(tx, younger, Editor(by="ann"))
