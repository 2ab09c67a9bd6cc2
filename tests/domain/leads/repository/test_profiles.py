from datetime import timedelta

import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.profiles import SQL, find_survivors
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE, IdentityKey, LeadValues
from leadflood.domain.leads.service import kernel
from leadflood.engine.db.pool import Database
from tests.domain.leads.people import (
    SEEN_AT,
    a_person,
    a_value,
    email_of,
    learned,
    saved,
)
from tests.support.leads import find_view

pytestmark = pytest.mark.pg


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


async def test_the_values_of_a_company_are_those_of_all_its_leads(database: Database) -> None:
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


async def test_a_page_on_a_shared_host_is_kept_as_a_page_and_joins_nobody(
    database: Database,
) -> None:
    pages = ("https://www.facebook.com/aurora", "https://www.facebook.com/brann")
    people = [
        a_person(("facebook", page), full_name="Ada Berg", company_domain=page, company_size=7)
        for page in pages
    ]

    lead_ids = await saved(database, *people)

    profiles = await kernel.find_profiles(database, lead_ids)
    assert len(profiles) == len(pages)
    assert [profiles[lead_id].text(FieldName.COMPANY_PAGE) for lead_id in lead_ids] == [
        "https://facebook.com/aurora",
        "https://facebook.com/brann",
    ]
    assert all(profile.company_id is None for profile in profiles.values())
    assert all(profile.get(FieldName.COMPANY_DOMAIN) is None for profile in profiles.values())


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
