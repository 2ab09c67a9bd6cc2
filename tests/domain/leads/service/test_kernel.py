import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from anyio import create_task_group
from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas import Editor
from leadflood.domain.leads.repository.profiles import SQL, find_survivors
from leadflood.domain.leads.schemas import (
    HUMAN_SOURCE,
    IdentityKey,
    LeadStatus,
    LeadValues,
    NewPerson,
)
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from tests.domain.leads.people import SEEN_AT, a_person, a_value, values_of
from tests.support.leads import find_view

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=1)
MERGING = LeadMerging(IDS, CLOCK)
CHECK_VIOLATION = "23514"
pytestmark = pytest.mark.pg


async def saved(database: Database, *people: NewPerson) -> list[UUID]:
    async with database.transaction() as tx:
        return [one.lead_id for one in await upsert(tx, people, IDS, SEEN_AT)]


async def learned(database: Database, *found: LeadValues) -> dict[UUID, UUID]:
    async with database.transaction() as tx:
        settled = await kernel.record_values(tx, found, IDS, SEEN_AT)
    return {one.lead_id: one.survivor_id for one in settled}


def email_of(lead_id: UUID, email: str) -> LeadValues:
    values = (a_value("email", email, evidence=email),)
    return LeadValues(lead_id=lead_id, values=values, keys=kernel.identity_keys(values))


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


async def test_a_lead_that_finds_a_key_taken_merges_into_the_older(database: Database) -> None:
    older, younger = await saved(database, a_person(("x", "1")), a_person(("x", "2")))
    await learned(database, email_of(younger, "a@acme.example"))

    who = await learned(database, email_of(older, "a@acme.example"))

    profile = (await kernel.find_profiles(database, [younger]))[younger]
    view = await find_view(database, younger)
    assert who == {older: older}
    assert profile.lead_id == older
    assert profile.members == (older, younger)
    assert view is not None
    assert [(one.lead_id, one.merged_into, one.reason) for one in view.merged] == [
        (younger, older, "same email")
    ]


async def test_a_merge_moves_nothing_and_readers_gather_everything(database: Database) -> None:
    older, younger = await saved(
        database,
        a_person(("provider:apollo", "a1"), title="CTO"),
        a_person(("provider:pdl", "p1"), city="Berlin"),
    )

    await learned(database, email_of(older, "a@acme.example"), email_of(younger, "a@acme.example"))

    profiles = await kernel.find_profiles(database, [older, younger])
    history = await database.fetch(SQL.find_values, subject_ids=[younger])
    assert {row["field"] for row in history} == {"city", "email"}
    for profile in profiles.values():
        assert profile.text(FieldName.TITLE) == "CTO"
        assert profile.text(FieldName.CITY) == "Berlin"
        assert profile.provider_ids == {"apollo": "a1", "pdl": "p1"}


async def test_merges_are_followed_to_the_end(database: Database) -> None:
    ids = await saved(database, *(a_person(("x", str(n))) for n in range(5)))
    for number in reversed(range(4)):
        keys = (IdentityKey("pair", str(number)),)
        pair = [LeadValues(lead_id=ids[n], keys=keys) for n in (number, number + 1)]
        await learned(database, *pair)

    survivors = await find_survivors(database, ids)
    profiles = await kernel.find_profiles(database, ids)

    assert set(survivors.values()) == {ids[0]}
    assert {profile.members for profile in profiles.values()} == {tuple(ids)}


async def test_an_undone_merge_stays_undone(database: Database) -> None:
    older, younger = await saved(database, a_person(("x", "1")), a_person(("x", "2")))
    await learned(database, email_of(older, "a@acme.example"), email_of(younger, "a@acme.example"))

    async with database.transaction() as tx:
        await MERGING.unmerge(tx, younger, Editor(by="ann"))
    who = await learned(database, email_of(younger, "a@acme.example"))

    assert who == {younger: younger}
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await MERGING.unmerge(tx, younger, Editor(by="ann"))


async def test_leads_that_are_gone_are_left_out(database: Database) -> None:
    assert await learned(database, email_of(UUID(int=4), "a@acme.example")) == {}
    assert await kernel.find_profiles(database, [UUID(int=4)]) == {}
    assert await find_view(database, UUID(int=4)) is None


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


async def test_many_transactions_that_merge_in_rings_neither_deadlock_nor_make_a_circle(
    database: Database,
) -> None:
    ids = await saved(database, *(a_person(("x", str(n))) for n in range(60)))

    async def merge(seed: int) -> None:
        chosen = random.Random(seed)  # noqa: S311 - an order, no secret
        for _ in range(10):
            leads = chosen.sample(ids, 12)
            found = [email_of(lead, f"a{chosen.randrange(30)}@acme.example") for lead in leads]
            await learned(database, *found)

    async with create_task_group() as group:
        for seed in range(8):
            group.start_soon(merge, seed)

    survivors = await find_survivors(database, ids)
    assert set(survivors) == set(ids)
    assert all(survivor <= lead for lead, survivor in survivors.items())
    for number in range(30):
        owners = await database.fetch(
            SQL.find_owners, kinds=["email"], values=[f"a{number}@acme.example"]
        )
        profile = (await kernel.find_profiles(database, [owners[0]["lead_id"]])).popitem()[1]
        history = await database.fetch(SQL.find_values, subject_ids=ids)
        tellers = {
            survivors[row["subject_id"]]
            for row in history
            if row["value"] == f'"a{number}@acme.example"'
        }
        assert tellers == {profile.lead_id}


@pytest.mark.parametrize(
    "bare",
    [
        {"sources": [""]},
        {"methods": [""]},
        {"evidence": [b""]},
        {"confidences": [1.5]},
        {"costs_micros": [-1]},
        {"values": ["null"]},
    ],
)
async def test_a_bare_value_cannot_be_written(
    database: Database, bare: dict[str, list[object]]
) -> None:
    whole: dict[str, list[object]] = {
        "ids": [IDS.new()],
        "lead_ids": [IDS.new()],
        "company_ids": [None],
        "fields": ["title"],
        "values": ['"CTO"'],
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


async def test_a_person_wins_over_any_provider_and_the_loser_stays_in_history(
    database: Database,
) -> None:
    (lead_id,) = await saved(database, a_person(("x", "1"), title="CTO"))
    later = SEEN_AT + timedelta(days=900)
    typed = a_value("title", "Founder", source=HUMAN_SOURCE, confidence=1.0)
    bought = a_value("title", "Chief", confidence=1.0, observed_at=later, evidence="later")

    await learned(database, LeadValues(lead_id=lead_id, values=(typed, bought)))

    view = await find_view(database, lead_id)
    assert view is not None
    assert view.values[FieldName.TITLE] == "Founder"
    assert [(one.value, one.is_current) for one in view.provenance] == [
        ("Founder", True),
        ("Chief", False),
        ("CTO", False),
    ]


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


async def test_what_is_told_of_a_company_is_told_of_all_who_work_there(database: Database) -> None:
    ann, bob = await saved(
        database,
        a_person(("x", "1"), company_domain="www.acme.example", company_industry="software"),
        a_person(("x", "2"), company_domain="https://acme.example/about"),
    )

    profiles = await kernel.find_profiles(database, [ann, bob])

    assert profiles[bob].text(FieldName.COMPANY_INDUSTRY) == "software"
    assert profiles[bob].company_id == profiles[ann].company_id is not None


async def test_free_mail_never_becomes_a_company(database: Database) -> None:
    (lead_id,) = await saved(
        database, a_person(email="ann@gmail.com", company_domain="gmail.com", company_size=7)
    )

    profile = (await kernel.find_profiles(database, [lead_id]))[lead_id]

    assert profile.company_id is None
    assert profile.get(FieldName.COMPANY_DOMAIN) is None
    assert profile.get(FieldName.COMPANY_SIZE) == 7


async def test_a_better_known_employer_takes_over(database: Database) -> None:
    (lead_id,) = await saved(database, a_person(("x", "1"), company_domain="old.example"))
    sure = a_value("company_domain", "new.example", confidence=1.0, evidence="2")
    guess = a_value("company_domain", "guess.example", confidence=0.2, evidence="3")

    for value in (sure, guess):
        await learned(database, LeadValues(lead_id=lead_id, values=(value,)))

    profile = (await kernel.find_profiles(database, [lead_id]))[lead_id]
    companies = await database.fetch(SQL.find_members, ids=[lead_id])
    assert profile.text(FieldName.COMPANY_DOMAIN) == "new.example"
    assert companies[0]["company_id"] == profile.company_id


async def test_the_status_of_an_address_is_never_read_for_another(database: Database) -> None:
    (lead_id,) = await saved(database, a_person(("x", "1")))
    good = a_value("email", "good@acme.example", confidence=0.95, evidence="1")
    other = a_value("email", "other@acme.example", confidence=0.5, evidence="2")
    its_status = a_value("email_status", "valid", confidence=0.99, evidence="2")

    await learned(database, LeadValues(lead_id=lead_id, values=(good, other, its_status)))

    profile = (await kernel.find_profiles(database, [lead_id]))[lead_id]
    assert profile.text(FieldName.EMAIL) == "good@acme.example"
    assert profile.get(FieldName.EMAIL_STATUS) is None


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


async def test_a_status_is_written_with_its_code_or_not_at_all(database: Database) -> None:
    ids = await saved(database, *(a_person(("x", str(n))) for n in range(3)))

    async with database.transaction() as tx:
        await kernel.set_status(tx, ids, LeadStatus.FAILED, SEEN_AT, "provider.down")
    with pytest.raises(Exception, match="lead_failure_has_code"):
        async with database.transaction() as tx:
            await kernel.set_status(tx, ids, LeadStatus.FAILED, SEEN_AT)

    profiles = await kernel.find_profiles(database, ids)
    assert {profile.failed_code for profile in profiles.values()} == {"provider.down"}


async def test_five_hundred_leads_cost_as_many_statements_as_one(database: Database) -> None:
    counts = []
    for size in (1, 500):
        people = [
            a_person(("provider:apollo", f"{size}-{n}"), company_domain=f"c{n}-{size}.example")
            for n in range(size)
        ]
        async with database.transaction() as tx:
            counting = CountingTx(tx)
            upserted = await upsert(counting, people, IDS, SEEN_AT)  # type: ignore[arg-type]  # counts what it passes on
            found = [
                email_of(one.lead_id, f"a{n}@c{n}-{size}.example") for n, one in enumerate(upserted)
            ]
            await kernel.record_values(counting, found, IDS, SEEN_AT)  # type: ignore[arg-type]  # same
        counts.append(counting.count)

    assert counts[0] == counts[1] <= 11


class CountingTx:
    """Passes on to a transaction and counts."""

    def __init__(self, tx: object) -> None:
        self._tx = tx
        self.count = 0

    def __getattr__(self, name: str) -> object:
        self.count += 1
        return getattr(self._tx, name)
