from pathlib import Path
from uuid import UUID

import pytest
from anyio import create_task_group
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.import_service import ImportService
from leadflood.domain.leads.imports import read_csv
from leadflood.domain.leads.schemas import LeadCreated, LeadInput, LeadStatus, NewImport
from leadflood.domain.leads.service.insertion import read_lead
from leadflood.domain.leads.service.leads import LeadService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids
from tests.support.leads import create_lead

DATA = Path(__file__).parent.parent / "data"
CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=9)
SERVICE = LeadService()
IMPORTS = ImportService(IDS, CLOCK)
ICP = UUID(int=1)
pytestmark = pytest.mark.pg


async def created(database: Database, given: LeadInput) -> LeadCreated:
    async with database.transaction() as tx:
        return await create_lead(tx, given, ICP, IDS, CLOCK)


async def test_a_lead_given_by_hand_is_found_with_its_evidence(database: Database) -> None:
    given = LeadInput(email="Ann@Acme.example", full_name="Ann Lee", company_size="51-200")

    event = await created(database, given)

    view = await SERVICE.get(database, event.lead_id)
    assert view.status is LeadStatus.PROCESSING
    assert view.values == {
        FieldName.EMAIL: "ann@acme.example",
        FieldName.FULL_NAME: "Ann Lee",
        FieldName.COMPANY_SIZE: 125,
        FieldName.COMPANY_DOMAIN: "acme.example",
    }
    assert {(one.source, one.method) for one in view.provenance} == {("api", "leads.create")}
    assert {key.kind for key in view.keys} == {"email", "name_domain"}


async def test_a_second_lead_with_the_address_is_refused_also_at_the_same_moment(
    database: Database,
) -> None:
    ends: list[str] = []

    async def create() -> None:
        try:
            await created(database, LeadInput(email="ann@acme.example"))
            ends.append("created")
        except Conflict as error:
            ends.append(error.error_code)

    async with create_task_group() as group:
        for _ in range(6):
            group.start_soon(create)

    assert sorted(ends) == ["created"] + ["leads.lead.exists"] * 5


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (LeadInput(email="nonsense"), ["email"]),
        (LeadInput(first_name="Ann"), ["email"]),
        (LeadInput(full_name="Ann Lee", company_domain="gmail.com"), ["companyDomain"]),
        (LeadInput(email="a@b.example", phone="12"), ["phone"]),
        (LeadInput(email="a@b.example", country="Atlantis"), ["country"]),
        (LeadInput(email="a@b.example", linkedin_url="x"), ["linkedinUrl"]),
        (LeadInput(email="a@b.example", opt_in=("pigeon",)), ["optIn"]),
    ],
)
def test_what_is_wrong_is_told_by_field(given: LeadInput, paths: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_lead(given, CLOCK.now())

    assert [problem.path for problem in refused.value.fields] == paths


async def test_a_lead_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await SERVICE.get(database, UUID(int=3))


async def test_a_file_is_imported_once_however_often_it_is_tried(database: Database) -> None:
    read = read_csv((DATA / "salesforce_leads.csv").read_bytes())
    new = NewImport(run_id=IDS.new(), icp_id=ICP, name="salesforce_leads.csv")
    events = []

    for _ in range(2):
        async with database.transaction() as tx:
            await IMPORTS.start_import(tx, new, read)
            events.append(await IMPORTS.import_rows(tx, new, read.rows))

    counts = (await IMPORTS.get(database, new.run_id, None)).counts
    assert [len(one) for one in events] == [2, 0]
    assert (counts.created, counts.duplicate, counts.bad) == (2, 0, 1)


async def test_rows_that_name_one_person_start_one_lead(database: Database) -> None:
    text = b"email,name,company\na@b.example,Ann Lee,B\nA@B.example,Ann,B\n,Bob Ray,C\n,BOB RAY,c\n"
    read = read_csv(text)
    new = NewImport(run_id=IDS.new(), icp_id=ICP, name="twice.csv")

    async with database.transaction() as tx:
        await IMPORTS.start_import(tx, new, read)
        first = await IMPORTS.import_rows(tx, new, read.rows[:1])
        rest = await IMPORTS.import_rows(tx, new, read.rows[1:])

    assert (len(first), len(rest)) == (1, 1)
