from uuid import UUID

import pytest
from anyio import create_task_group
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service.insertion import read_lead
from leadflood.domain.leads.service.leads import LeadService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids
from tests.support.leads import create_lead

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=9)
SERVICE = LeadService()
ICP = UUID(int=1)
pytestmark = pytest.mark.pg


async def created(database: Database, given: LeadInput) -> LeadCreated:
    async with database.transaction() as tx:
        return await create_lead(tx, given, ICP, IDS, CLOCK)


async def test_a_page_on_a_shared_host_is_kept_beside_a_lead_given_by_hand(
    database: Database,
) -> None:
    page = "https://www.facebook.com/cafe"
    given = LeadInput(email="bo@gmail.com", company_name="Cafe", company_domain=page)

    event = await created(database, given)

    view = await SERVICE.get(database, event.lead_id)
    assert view.values[FieldName.COMPANY_PAGE] == "https://facebook.com/cafe"
    assert (FieldName.COMPANY_DOMAIN in view.values, view.company_id) == (False, None)


async def test_a_lead_given_by_hand_is_found_with_its_evidence(database: Database) -> None:
    given = LeadInput(email="Ann@Acme.example", full_name="Ann Lee", company_size="51-200")

    event = await created(database, given)

    view = await SERVICE.get(database, event.lead_id)
    assert view.status is LeadStatus.PROCESSING
    assert view.values == {
        FieldName.EMAIL: "ann@acme.example",
        FieldName.FULL_NAME: "Ann Lee",
        FieldName.FIRST_NAME: "Ann",
        FieldName.LAST_NAME: "Lee",
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
def test_invalid_input_names_its_fields(given: LeadInput, paths: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_lead(given, CLOCK.now())

    assert [problem.path for problem in refused.value.fields] == paths


async def test_a_lead_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await SERVICE.get(database, UUID(int=3))
