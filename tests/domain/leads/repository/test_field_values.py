from datetime import timedelta

import pytest
from leadflood.domain.leads.repository.profiles import SQL
from leadflood.domain.leads.schemas.identity import LeadValues
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from tests.domain.leads.people import IDS, SEEN_AT, a_person, a_value, learned, saved
from tests.support.leads import find_view

CHECK_VIOLATION = "23514"
pytestmark = pytest.mark.pg


@pytest.mark.parametrize(
    "bare",
    [
        {"sources": [""]},
        {"methods": [""]},
        {"evidence": [b""]},
        {"confidences": [1.5]},
        {"costs_micros": [-1]},
        {"values": "null"},
    ],
)
async def test_a_bare_value_cannot_be_written(database: Database, bare: dict[str, object]) -> None:
    whole: dict[str, object] = {
        "ids": [IDS.new()],
        "places": [0],
        "lead_ids": [IDS.new()],
        "company_ids": [None],
        "fields": "title",
        "values": '"CTO"',
        "sources": ["apollo"],
        "methods": ["people.match"],
        "evidence": [b"0" * 32],
        "observed_at": [SEEN_AT],
        "confidences": [0.9],
        "costs_micros": [1],
        "ranks": [1.0],
        "humans": [False],
    }

    await database.execute(SQL.add_values, **whole, now=SEEN_AT)

    with pytest.raises(Exception, match="violates check") as refused:
        await database.execute(SQL.add_values, **(whole | bare), now=SEEN_AT)
    assert sqlstate_of(refused.value) == CHECK_VIOLATION


async def test_the_same_evidence_twice_is_one_row_and_only_becomes_fresher(
    database: Database,
) -> None:
    (lead_id,) = await saved(database, a_person(("x", "1")))
    later = SEEN_AT + timedelta(days=1)

    for observed_at in (SEEN_AT, later, SEEN_AT):
        values = (a_value("title", "CTO", observed_at=observed_at),)
        await learned(database, LeadValues(lead_id=lead_id, values=values))

    view = await find_view(database, lead_id)
    assert view is not None
    assert [one.observed_at for one in view.provenance] == [later]
