import pytest
from benchmarks.identity import hash_rows
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


async def test_undone_merges_leave_no_trace(database: Database) -> None:
    people = [
        a_person(
            email=f"{name}@{name}.example",
            full_name=f"{name} Low",
            company_domain=f"{name}.example",
            country=country,
            **({"title": "CTO"} if country == "DE" else {}),
        )
        for name, country in (("Ada", "DE"), ("Bea", "FR"), ("Cid", "DE"), ("Dan", "FR"))
    ]
    ada, bea, cid, dan = await saved(database, *people)
    await learned(database, email_of(cid, "cid@home.example"))
    before = await hash_rows(database)

    editor = Editor(by="ann")
    for lead, into in ((dan, cid), (cid, bea), (bea, ada)):
        async with database.transaction() as tx:
            await MERGING.merge(tx, lead, into, editor)
    merged = await hash_rows(database)
    for lead in (bea, cid, dan):
        async with database.transaction() as tx:
            await MERGING.unmerge(tx, lead, editor)

    assert merged["lead"] != before["lead"]
    assert await hash_rows(database) == before
