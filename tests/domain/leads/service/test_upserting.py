import random
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest
from anyio import create_task_group
from leadflood.contracts.found_values import FOUND_BY_NAME
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.schemas.identity import LeadValues, NewPerson
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.domain.leads.service.withdrawal import delete_leads
from leadflood.engine.db.pool import Database
from tests.domain.leads.people import (
    IDS,
    SEEN_AT,
    a_person,
    a_value,
    learned,
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


BIG = {"full_name": "John Smith", "company_domain": "big.example"}


async def test_namesakes_at_one_domain_are_two_leads_and_each_is_found_again(
    database: Database,
) -> None:
    people = [
        a_person(email="john@big.example", title="CFO", **BIG),
        a_person(email="john2@big.example", title="Clerk", **BIG),
        a_person(**BIG),
    ]

    together = await saved(database, *people)
    again = [(await saved(database, person))[0] for person in people]

    assert len(set(together)) == 3
    assert again == together


@pytest.mark.parametrize(
    "told_apart_by",
    [
        ({"email": "j1@big.example"}, {"email": "j2@big.example"}),
        ({"linkedin_url": "linkedin.com/in/j1"}, {"linkedin_url": "linkedin.com/in/j2"}),
        ({"mobile_phone": "+491701234567"}, {"phone": "+491717654321"}),
    ],
)
async def test_a_weak_key_joins_unless_a_strong_one_of_the_same_kind_differs(
    database: Database, told_apart_by: tuple[dict[str, str], dict[str, str]]
) -> None:
    first, second = told_apart_by
    bare, known = [(await saved(database, a_person(**BIG, **more)))[0] for more in ({}, first)]

    (other,) = await saved(database, a_person(**BIG, **second))

    assert bare == known != other


async def test_the_numbers_of_an_office_tell_nobody_apart(database: Database) -> None:
    first, second = await saved(
        database, a_person(**BIG, phone="+4930901820"), a_person(**BIG, phone="+4930901821")
    )

    assert first == second


@pytest.mark.parametrize(
    ("email", "other"),
    [
        ("zora.quint@gmail.com", "zoraquint@googlemail.com"),
        ("ada+news@k.example", "ADA@k.example"),
    ],
)
async def test_the_spellings_of_a_mailbox_are_one_address(
    database: Database, email: str, other: str
) -> None:
    first, second = await saved(
        database,
        a_person(full_name="Zora Quint", email=email),
        a_person(full_name="Zora Quint", email=other),
    )

    assert first == second


async def test_an_address_found_by_a_name_merges_nobody(database: Database) -> None:
    ids = await saved(
        database,
        a_person(("provider:apollo", "a1"), **BIG),
        a_person(("provider:apollo", "a2"), **BIG),
    )
    found = msgspec.structs.replace(
        a_value("email", "john@big.example"), method=f"email.find{FOUND_BY_NAME}"
    )
    values = [*values_of(**BIG), found]

    keys = kernel.identity_keys(values)
    who = await learned(
        database, *(LeadValues(lead_id=lead, values=(found,), keys=keys) for lead in ids)
    )

    assert who == {lead: lead for lead in ids}


async def test_a_key_goes_to_its_other_bearer_when_its_holder_goes(database: Database) -> None:
    holder, bearer = await saved(
        database,
        a_person(email="j1@big.example", **BIG),
        a_person(email="j2@big.example", **BIG),
    )

    async with database.transaction() as tx:
        await delete_leads(tx, [holder])
    (bare,) = await saved(database, a_person(**BIG))

    assert bare == bearer


async def test_namesakes_from_many_transactions_are_told_apart_by_all(database: Database) -> None:
    people = [a_person(email=f"j{n}@big.example", **BIG) for n in range(6)] + [a_person(**BIG)]
    results: list[tuple[UUID, ...]] = []
    await saved(database, *people[:2])

    async def bring(seed: int) -> None:
        order = random.Random(seed).sample(people, len(people))  # noqa: S311 - an order, no secret
        leads = dict(zip(map(id, order), await saved(database, *order), strict=True))
        results.append(tuple(leads[id(person)] for person in people))

    async with create_task_group() as group:
        for seed in range(6):
            group.start_soon(bring, seed)

    assert len(set(results)) == 1
    assert len(set(results[0])) == len(people)
