from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from leadflood.domain.activities.schemas import (
    ActivityEdit,
    ActivityFilter,
    ActivityKind,
    NewActivity,
)
from leadflood.domain.activities.service import ActivityService
from leadflood.domain.auth.schemas.principals import EVERYTHING, Editor, Visibility
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Denied, NotFound, PreconditionFailed
from tests.domain.leads.people import CLOCK, IDS, SEEN_AT, a_person, email_of, learned, saved

SERVICE = ActivityService(IDS, CLOCK)
ANN, BOB = Editor(by="ann"), Editor(by="bob")
CALL = NewActivity(kind=ActivityKind.CALL, text="asked for a demo")
pytestmark = pytest.mark.pg


@pytest.fixture
async def lead_id(database: Database) -> UUID:
    (lead_id,) = await saved(database, a_person(("x", "1"), email="ann@acme.example"))
    return lead_id


async def test_an_activity_of_a_merged_lead_is_its_survivor_s(
    database: Database, lead_id: UUID
) -> None:
    (younger,) = await saved(database, a_person(("x", "2")))
    await learned(database, email_of(younger, "ann@acme.example"))

    async with database.transaction() as tx:
        activity, event = await SERVICE.record(tx, younger, CALL, ANN)

    assert (activity.lead_id, event.lead_id, event.activity_id) == (lead_id, lead_id, activity.id)
    asked = ActivityFilter(lead_id=lead_id)
    assert await SERVICE.list(database, asked, EVERYTHING, None, 10) == [activity]


async def test_who_recorded_an_activity_corrects_it_and_takes_it_back(
    database: Database, lead_id: UUID
) -> None:
    earlier = SEEN_AT - timedelta(days=1)
    async with database.transaction() as tx:
        activity, _ = await SERVICE.record(tx, lead_id, CALL, ANN)
        changed = await SERVICE.change(tx, activity.id, ActivityEdit(happened_at=earlier), ANN)

    assert (changed.version, changed.text, changed.happened_at) == (2, CALL.text, earlier)
    with pytest.raises(Denied):
        async with database.transaction() as tx:
            await SERVICE.delete(tx, activity.id, BOB)
    with pytest.raises(PreconditionFailed):
        async with database.transaction() as tx:
            await SERVICE.delete(tx, activity.id, Editor(by="ann", if_match=1))
    async with database.transaction() as tx:
        await SERVICE.delete(tx, activity.id, ANN)
    assert await SERVICE.list(database, ActivityFilter(), EVERYTHING, None, 10) == []


async def test_the_activities_of_hidden_leads_are_not_there(
    database: Database, lead_id: UUID
) -> None:
    nobody = Visibility(uuid4())
    async with database.transaction() as tx:
        activity, _ = await SERVICE.record(tx, lead_id, CALL, ANN)

    assert await SERVICE.list(database, ActivityFilter(), nobody, None, 10) == []
    editor = Editor(by="ann", visibility=nobody)
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await SERVICE.delete(tx, activity.id, editor)
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await SERVICE.record(tx, lead_id, CALL, editor)
