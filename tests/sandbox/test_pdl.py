"""The pretend People Data Labs, called over a real socket."""

from decimal import Decimal
from typing import Any

import msgspec
from leadflood.sandbox.population import Person, Population
from leadflood.sandbox.prices import PDL_CREDIT_MICROS

from tests.sandbox.caller import Caller, Reply, keys_of, sample
from tests.sandbox.conftest import Open


def _known(population: Population) -> Person:
    return next(
        person
        for person in population.people
        if person.pdl_knows
        and person.pdl_has_email
        and person.mobile
        and person.linkedin_slug
        and not person.is_contradicted
        and not person.is_misspelled
    )


async def _enrich(world: Caller, reference: str = "", **params: Any) -> Reply:
    url = f"{world.at.pdl}/person/enrich"
    return await world.call("POST", url, params, reference=reference)


async def test_a_person_has_the_documented_keys_and_costs_a_credit(
    world: Caller, population: Population
) -> None:
    person = _known(population)

    reply = await _enrich(world, "call-1", email=person.email)

    lines = await world.admin("invoices")
    assert keys_of(reply.json) == keys_of(sample("pdl.person_enrich.success"))
    assert reply.json["data"]["mobile_phone"] == person.mobile
    assert reply.json["data"]["full_name"] == person.name.lower()
    assert [(line["reference"], line["amount_micros"]) for line in lines] == [
        ("call-1", PDL_CREDIT_MICROS)
    ]


async def test_a_miss_is_404_and_free(world: Caller) -> None:
    reply = await _enrich(world, email="nobody@nowhere.example")

    assert (reply.status, reply.json) == (404, sample("pdl.person_enrich.404"))
    assert reply.headers["x-call-credits-spent"] == "0"
    assert await world.admin("invoices") == []


async def test_a_person_is_found_by_get_and_by_any_key(
    world: Caller, population: Population
) -> None:
    person = _known(population)
    url, company = f"{world.at.pdl}/person/enrich", population.company_of(person)
    questions = (
        {"profile": f"linkedin.com/in/{person.linkedin_slug}"},
        {"phone": person.mobile},
        {"name": person.name, "company": company.domain},
        {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "company": f"https://{company.domain}/",
        },
    )

    replies = [await world.call("GET", url, params=params) for params in questions]

    assert len({reply.json["data"]["id"] for reply in replies}) == 1
    by_id = await _enrich(world, pdl_id=replies[0].json["data"]["id"])
    assert by_id.json["data"] == replies[0].json["data"]


async def test_too_little_is_400(world: Caller) -> None:
    nameless = await _enrich(world, company="x.example")
    placeless = await _enrich(world, name="Mira Okafor")

    assert (nameless.status, placeless.status) == (400, 400)
    assert nameless.json["error"]["type"] == "invalid_request_error"


async def test_likelihood_and_required_fields_can_make_a_miss(
    world: Caller, population: Population
) -> None:
    person = next(
        p for p in population.people if p.pdl_knows and p.is_contradicted and not p.mobile
    )
    params = {"name": person.name, "company": population.company_of(person).name}

    doubtful = await _enrich(world, **params)
    demanding = await _enrich(world, **params, min_likelihood=6)
    picky = await _enrich(world, **params, required="job_title AND mobile_phone")
    lenient = await _enrich(world, **params, required="job_title OR mobile_phone")

    assert doubtful.json["likelihood"] == 4
    assert [r.status for r in (doubtful, demanding, picky, lenient)] == [200, 404, 404, 200]


async def test_what_matched_is_told_when_asked(world: Caller, population: Population) -> None:
    email = _known(population).email

    matched = await _enrich(world, email=email, include_if_matched=True)

    assert matched.json["matched"] == ["email"]


async def test_a_bulk_call_answers_in_order_and_bills_each_found(
    world: Caller, population: Population
) -> None:
    email = _known(population).email
    requests = [
        {"params": {"email": email}, "metadata": {"row": 1}},
        {"params": {"email": "nobody@nowhere.example"}, "metadata": {"row": 2}},
        {"params": {"name": "Alone"}, "metadata": {"row": 3}},
    ]

    reply = await world.call("POST", f"{world.at.pdl}/person/bulk", {"requests": requests})

    lines = await world.admin("invoices")
    expected = sample("pdl.person_bulk.mixed")
    assert [item["status"] for item in reply.json] == [200, 404, 400]
    assert [set(item) - {"dataset_version"} for item in reply.json] == [
        set(item) - {"dataset_version"} for item in expected
    ]
    assert [(line["amount_micros"], line["subjects"]) for line in lines] == [
        (PDL_CREDIT_MICROS, [reply.json[0]["data"]["id"]])
    ]


async def test_headers_tell_the_window_as_an_object(world: Caller) -> None:
    reply = await _enrich(world, email="nobody@nowhere.example")

    limit = msgspec.json.decode(reply.headers["x-ratelimit-limit"])
    remaining = msgspec.json.decode(reply.headers["x-ratelimit-remaining"])
    assert limit == {"minute": 10_000, "day": None, "month": None}
    assert remaining["minute"] == 9_999
    assert reply.headers["x-ratelimit-reset"].startswith("2026-01-05T09:01:00")


async def test_credits_gone_is_402_and_too_fast_429(
    open_world: Open, population: Population
) -> None:
    email = _known(population).email
    async with open_world(plan_multiplier=1, credits={"pdl": Decimal(1)}) as world:
        replies = [await _enrich(world, email=email) for _ in range(2)]
        misses = [await _enrich(world, email="no@x.example") for _ in range(999)]

    assert [reply.status for reply in replies] == [200, 402]
    assert misses[-2].status == 404
    assert misses[-1].status == 429
    assert "retry-after" not in misses[-1].headers


async def test_a_wrong_method_is_405_and_a_wrong_key_401(world: Caller) -> None:
    wrong = await world.call("GET", f"{world.at.pdl}/person/bulk")
    stranger = await world.call("GET", f"{world.at.pdl}/person/enrich", key="x")

    assert wrong.status == 405
    assert (stranger.status, stranger.json["error"]["type"]) == (401, "authentication_error")
