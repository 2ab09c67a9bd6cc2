"""Deleted leads keep their rows and their keys: whoever is found again stays out."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.lead_rows import lock_states, write_states
from leadflood.domain.leads.rules.identity import identity_keys
from leadflood.domain.leads.schemas.identity import LeadValues, Upserted
from leadflood.domain.leads.schemas.lead_states import LeadState
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from tests.domain.leads.people import a_person, values_of
from tests.support.leads import find_view

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=3)
pytestmark = pytest.mark.pg


async def upserted(database: Database, *keys: tuple[str, str], **given: str) -> Upserted:
    async with database.transaction() as tx:
        (one,) = await upsert(tx, [a_person(*keys, **given)], IDS, CLOCK.now())
    return one


async def delete(database: Database, one: Upserted) -> None:
    async with database.transaction() as tx:
        before = (await lock_states(tx, [one.lead_id]))[one.lead_id]
        after = msgspec.structs.replace(before, deleted_at=CLOCK.now(), deleted_by="user:1")
        await write_states(tx, [before], [after], "user:1", CLOCK.now())


async def test_a_person_found_again_is_known_as_deleted_and_nothing_is_recorded(
    database: Database,
) -> None:
    first = await upserted(database, email="ann@acme.example")
    await delete(database, first)

    again = await upserted(database, email="ann@acme.example", title="COO")

    assert (again.lead_id, again.is_new, again.is_deleted) == (first.lead_id, False, True)
    profile = (await kernel.find_profiles(database, [first.lead_id]))[first.lead_id]
    assert profile.is_deleted
    assert profile.get(FieldName.TITLE) is None
    assert await find_view(database, first.lead_id) is None


async def test_who_turns_out_to_be_somebody_deleted_is_out_of_sight_too(
    database: Database,
) -> None:
    older = await upserted(database, email="ann@acme.example")
    await delete(database, older)
    younger = await upserted(database, ("provider:apollo", "77"), full_name="Ann Lee")

    values = values_of(email="ann@acme.example")
    async with database.transaction() as tx:
        learned = LeadValues(lead_id=younger.lead_id, values=values, keys=identity_keys(values))
        (settled,) = await kernel.record_values(tx, [learned], IDS, CLOCK.now())

    assert settled.survivor_id == older.lead_id
    assert (await kernel.find_profiles(database, [younger.lead_id]))[younger.lead_id].is_deleted
    states = await kernel.find_states(database, [younger.lead_id])
    assert states[younger.lead_id].deleted_at is not None


async def test_a_lead_that_is_there_stays_when_a_deleted_one_turns_out_to_be_it(
    database: Database,
) -> None:
    kept = await upserted(database, ("provider:apollo", "78"), full_name="Ann Lee")
    deleted = await upserted(database, email="ann@acme.example")
    await delete(database, deleted)

    values = values_of(email="ann@acme.example")
    async with database.transaction() as tx:
        learned = LeadValues(lead_id=kept.lead_id, values=values, keys=identity_keys(values))
        (settled,) = await kernel.record_values(tx, [learned], IDS, CLOCK.now())

    assert settled.survivor_id == kept.lead_id
    assert await find_view(database, kept.lead_id) is not None


@given(st.lists(st.text(min_size=1, max_size=3)))
def test_tags_are_sorted_and_each_there_once(words: list[str]) -> None:
    tags: tuple[str, ...] = ()
    for word in words:
        tags = LeadState(id=UUID(int=1), version=1, tags=tags).tags_with(word)

    assert tags == tuple(sorted(set(words)))
