import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from anyio import create_task_group
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.schemas.identity import NewPerson
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.db.pool import Database
from tests.domain.leads.people import (
    IDS,
    SEEN_AT,
    a_person,
    saved,
    values_of,
)

pytestmark = pytest.mark.pg


async def test_a_person_seen_twice_is_one_lead(database: Database) -> None:
    person = a_person(("provider:apollo", "a1"), first_name="Ann", email="Ann@Acme.example")

    async with database.transaction() as tx:
        first = await upsert(tx, [person, person], IDS, SEEN_AT)
    async with database.transaction() as tx:
        second = await upsert(tx, [person], IDS, SEEN_AT)

    assert [one.is_new for one in first] == [True, False]
    assert [one.is_new for one in second] == [False]
    assert {one.lead_id for one in (*first, *second)} == {first[0].lead_id}
    profile = (await kernel.find_profiles(database, [first[0].lead_id]))[first[0].lead_id]
    assert profile.get(FieldName.EMAIL) == "ann@acme.example"
    assert profile.provider_ids == {"apollo": "a1"}
    assert profile.status is LeadStatus.PROCESSING


async def test_a_known_person_with_a_new_key_hands_it_to_the_lead(database: Database) -> None:
    (lead_id,) = await saved(database, a_person(("provider:apollo", "a1"), email="a@acme.example"))

    (again,) = await saved(database, a_person(("provider:pdl", "p1"), email="A@ACME.example"))
    (by_new_key,) = await saved(database, a_person(("provider:pdl", "p1"), title="CTO"))

    assert lead_id == again == by_new_key


async def test_a_person_whose_keys_name_two_leads_makes_them_one(database: Database) -> None:
    older, younger = await saved(
        database, a_person(("provider:apollo", "a1")), a_person(email="a@acme.example")
    )

    (now,) = await saved(database, a_person(("provider:apollo", "a1"), email="a@acme.example"))

    assert now == older
    assert await find_survivors(database, [older, younger]) == {older: older, younger: older}


async def test_people_without_any_key_stay_apart(database: Database) -> None:
    one, other = await saved(database, a_person(first_name="Ann"), a_person(first_name="Ann"))

    assert one != other


async def test_the_same_person_from_many_transactions_is_one_lead(database: Database) -> None:
    people = [a_person(("provider:apollo", str(n)), email=f"a{n}@acme.example") for n in range(40)]
    found: list[Sequence[UUID]] = []

    async def bring(seed: int) -> None:
        order = random.Random(seed).sample(people, len(people))  # noqa: S311 - an order, no secret
        leads = dict(zip(map(id, order), await saved(database, *order), strict=True))
        found.append([leads[id(person)] for person in people])

    async with create_task_group() as group:
        for seed in range(8):
            group.start_soon(bring, seed)

    assert len({tuple(leads) for leads in found}) == 1
    assert len(set(found[0])) == 40


async def test_anything_from_outside_can_be_stored(database: Database) -> None:
    nasty = ["\x00", "a\x00b", "\ud800x", "x" * 100_000, "'; DROP TABLE lead; --", "{{7*7}}", "  "]
    people = [
        NewPerson(
            source="apollo",
            values=values_of(title=text, full_name=text, email=text, company_domain=text),
            keys=tuple(filter(None, [kernel.provider_key("apollo", f"{number}{text}")])),
        )
        for number, text in enumerate(nasty)
    ]

    ids = await saved(database, *people)

    profiles = await kernel.find_profiles(database, ids)
    assert profiles[ids[1]].text(FieldName.TITLE) == "ab"
    assert profiles[ids[0]].get(FieldName.TITLE) is None
