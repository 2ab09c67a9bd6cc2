from uuid import uuid4

import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas.principals import EVERYTHING, Editor, Visibility
from leadflood.domain.companies.schemas import (
    CompanyFilter,
    CompanyWindow,
    CompanyWords,
    NewCompany,
)
from leadflood.domain.companies.service import CompanyService
from leadflood.domain.leads.service.company_values import company_id_of
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, NotFound, PreconditionFailed
from tests.domain.leads.people import CLOCK, IDS, a_person, saved
from tests.support.statements import sql

SERVICE = CompanyService(IDS, CLOCK, "EUR")
ANN = Editor(by="ann")
ACME = company_id_of("acme.com")
pytestmark = pytest.mark.pg


async def test_a_person_s_word_wins_over_a_provider_s_and_both_stay_in_history(
    database: Database,
) -> None:
    await saved(database, a_person(("x", "1"), company_domain="acme.com", company_size=40))

    async with database.transaction() as tx:
        company = await SERVICE.change(tx, ACME, CompanyWords(size=55), ANN)

    assert company.values == {FieldName.COMPANY_SIZE: 55}
    assert [(value.value, value.is_current) for value in company.provenance] == [
        (55, True),
        (40, False),
    ]


async def test_a_company_and_its_leads_are_shown_to_who_has_one_of_them(
    database: Database,
) -> None:
    for number, name in enumerate(("Ann Lee", "Bob Kay")):
        person = a_person(("x", str(number)), full_name=name, company_domain="acme.com")
        await saved(database, person)
    rep = Visibility(uuid4())
    await database.execute(
        sql("UPDATE lead SET owner = $1 WHERE full_name = 'Bob Kay'", "owner"), owner=rep.owner
    )

    everything = await SERVICE.get(database, ACME, EVERYTHING)
    limited = await SERVICE.get(database, ACME, rep)

    assert everything.lead_count == 2
    assert (limited.lead_count, [lead.full_name for lead in limited.leads]) == (1, ["Bob Kay"])
    with pytest.raises(NotFound):
        await SERVICE.get(database, ACME, Visibility(uuid4()))


async def test_a_company_without_leads_is_deleted_with_its_values(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        new = NewCompany(domain="empty.com", industry="Software")
        company = await SERVICE.create(tx, new, ANN)
        assert await SERVICE.delete(tx, company.id, ANN) == "empty.com"
        again = await SERVICE.create(tx, NewCompany(domain="empty.com"), ANN)

    assert again.values == {}


async def test_a_company_that_leads_work_at_stays(database: Database) -> None:
    await saved(database, a_person(("x", "1"), company_domain="acme.com"))

    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await SERVICE.delete(tx, ACME, ANN)


async def test_an_editor_who_means_another_version_is_refused(database: Database) -> None:
    await saved(database, a_person(("x", "1"), company_domain="acme.com"))

    with pytest.raises(PreconditionFailed) as refused:
        async with database.transaction() as tx:
            await SERVICE.change(tx, ACME, CompanyWords(size=5), Editor(by="ann", if_match=7))

    assert refused.value.error_code == "leads.company.version_conflict"


async def test_what_is_not_there_is_not_found_and_a_filter_that_fits_nothing_lists_nothing(
    database: Database,
) -> None:
    with pytest.raises(NotFound):
        await SERVICE.get(database, uuid4(), EVERYTHING)
    nothing = CompanyFilter(q="!")
    assert await SERVICE.list(database, nothing, EVERYTHING, CompanyWindow(limit=10)) == []
    assert (await SERVICE.count(database, nothing, EVERYTHING)).count == 0
