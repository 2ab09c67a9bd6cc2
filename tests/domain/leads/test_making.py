"""Leads brought in together: each is made, refused or asked for again by itself."""

from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.domain.leads import store
from leadflood.domain.leads.making import Made, WantedLead
from leadflood.domain.leads.schemas import LeadCreated, LeadInput
from leadflood.domain.leads.service import LeadService
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.ids import Ids

pytestmark = pytest.mark.pg
CLOCK = SystemClock()
SERVICE = LeadService(Ids(CLOCK), CLOCK)
ICP = uuid4()


def wanted(*, owner: str | None = None, **given: str) -> WantedLead:
    person = SERVICE.read(LeadInput(**given))  # type: ignore[arg-type]
    return WantedLead(person=person, icp_id=ICP, owner=owner)


async def make(database: Database, *asked: WantedLead) -> list[Made]:
    async with database.transaction() as tx:
        return list(await SERVICE.create_many(tx, asked))


def lead_of(made: Made) -> UUID:
    assert isinstance(made, LeadCreated)
    return made.lead_id


async def test_each_of_many_is_made_with_its_values_and_its_owner(database: Database) -> None:
    asked = [wanted(email=f"p{number}@acme.com", owner=f"o{number % 2}") for number in range(20)]

    made = await make(database, *asked)

    for number, one in enumerate(made):
        view = await SERVICE.get(database, lead_of(one))
        assert view.values["email"] == f"p{number}@acme.com"  # type: ignore[index]
        assert view.owner == f"o{number % 2}"


async def test_what_is_wrong_with_one_is_told_in_its_place_only(database: Database) -> None:
    (known,) = await make(database, wanted(email="known@acme.com"))

    made = await make(
        database,
        wanted(email="a@acme.com"),
        wanted(email="known@acme.com"),
        wanted(email="b@acme.com"),
    )

    assert [type(one) for one in made] == [LeadCreated, Conflict, LeadCreated]
    assert str(lead_of(known)) in str(made[1])


async def test_what_cannot_be_a_lead_is_refused_before_any_transaction() -> None:
    with pytest.raises(Invalid, match="give an e-mail"):
        wanted(title="COO")


async def test_of_two_with_one_key_the_second_is_asked_for_again(database: Database) -> None:
    pair = (wanted(email="a@acme.com", title="COO"), wanted(email="A@acme.com", title="CTO"))

    together = await make(database, *pair)
    afterwards = await make(database, pair[1])

    assert [type(one) for one in together] == [LeadCreated, type(None)]
    assert [type(one) for one in afterwards] == [Conflict]


async def test_who_is_refused_keeps_none_of_the_keys_he_came_with(database: Database) -> None:
    profile = "https://www.linkedin.com/in/ann-lee"
    await make(database, wanted(email="a@acme.com"))

    refused = await make(database, wanted(email="a@acme.com", linkedin_url=profile))
    free = await make(database, wanted(linkedin_url=profile))

    assert [type(one) for one in (*refused, *free)] == [Conflict, LeadCreated]


async def test_a_deleted_person_is_refused_with_the_way_back(database: Database) -> None:
    (made,) = await make(database, wanted(email="a@acme.com"))
    async with database.transaction() as tx:
        (state,) = (await store.lock_states(tx, [lead_of(made)])).values()
        gone = msgspec.structs.replace(state, deleted_at=CLOCK.now(), deleted_by="operator")
        await store.write_states(tx, [state], [gone], "operator", CLOCK.now())

    (refused,) = await make(database, wanted(email="a@acme.com"))

    assert isinstance(refused, Conflict)
    assert refused.error_code == "leads.lead.deleted"
    assert "restoration" in str(refused)
