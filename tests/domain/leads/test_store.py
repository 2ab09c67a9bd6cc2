import pytest
from anyio import create_task_group
from leadflood.contracts.values import FieldName
from leadflood.domain.leads import store
from leadflood.domain.leads.schemas import IdentityKey, LeadStatus, LeadValues
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids

from tests.domain.leads.people import SEEN_AT, a_person, values_of

IDS = Ids(ManualClock(), seed=1)
pytestmark = pytest.mark.pg


async def test_a_person_seen_twice_is_one_lead(database: Database) -> None:
    person = a_person(("provider:apollo", "a1"), first_name="Ann", email="Ann@Acme.example")

    async with database.transaction() as tx:
        first = await store.upsert(tx, [person, person], IDS, SEEN_AT)
    async with database.transaction() as tx:
        second = await store.upsert(tx, [person], IDS, SEEN_AT)

    assert [one.is_new for one in first] == [True, False]
    assert [one.is_new for one in second] == [False]
    assert {one.lead_id for one in (*first, *second)} == {first[0].lead_id}
    profile = (await store.profiles(database, [first[0].lead_id]))[first[0].lead_id]
    assert profile.get(FieldName.EMAIL) == "ann@acme.example"
    assert profile.provider_ids == {"apollo": "a1"}
    assert profile.status is LeadStatus.PROCESSING
