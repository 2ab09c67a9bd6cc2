import random
from uuid import UUID

import pytest
from anyio import create_task_group
from leadflood.domain.leads.repository.profiles import SQL, find_survivors
from leadflood.domain.leads.schemas.identity import LeadValues
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.db.pool import Database
from tests.domain.leads.people import (
    IDS,
    SEEN_AT,
    a_person,
    a_value,
    email_of,
    learned,
    saved,
)
from tests.support.leads import find_view

pytestmark = pytest.mark.pg


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


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_given_name_misspelled_tells_nobody_apart_whoever_is_first_known_by_the_whole_name(
    database: Database, order: tuple[int, int]
) -> None:
    ids = await saved(
        database,
        a_person(("provider:apollo", "1"), first_name="Ivo", company_name="Blackpoint"),
        a_person(("provider:apollo", "2"), first_name="vIo", company_name="Blackpoint"),
    )
    values = (
        a_value("full_name", "Ivo Garland", evidence="a"),
        a_value("linkedin_url", "https://www.linkedin.com/in/ivo-garland", evidence="a"),
    )

    for place in order:
        keys = kernel.identity_keys(values)
        await learned(database, LeadValues(lead_id=ids[place], values=values, keys=keys))

    assert set((await find_survivors(database, ids)).values()) == {ids[0]}


async def test_leads_that_are_gone_are_left_out(database: Database) -> None:
    assert await learned(database, email_of(UUID(int=4), "a@acme.example")) == {}
    assert await kernel.find_profiles(database, [UUID(int=4)]) == {}
    assert await find_view(database, UUID(int=4)) is None


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
            SQL.find_holders, kinds=["email"], values=[f"a{number}@acme.example"]
        )
        profile = (await kernel.find_profiles(database, [owners[0]["lead_id"]])).popitem()[1]
        history = await database.fetch(SQL.find_values, subject_ids=ids)
        tellers = {
            survivors[row["subject_id"]]
            for row in history
            if row["value"] == f'"a{number}@acme.example"'
        }
        assert tellers == {profile.lead_id}


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
