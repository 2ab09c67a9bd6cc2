"""The pretend Hunter, called over a real socket."""

from decimal import Decimal

import pytest
from leadflood.sandbox.population import Person, Population
from leadflood.sandbox.prices import HUNTER_CREDIT_MICROS

from tests.sandbox.caller import Caller, Reply, keys_of, sample
from tests.sandbox.conftest import Open


def _known(population: Population) -> Person:
    return next(
        person
        for person in population.people
        if person.hunter_knows and not person.is_claimed and person.linkedin_slug
    )


async def _find(world: Caller, population: Population, person: Person) -> Reply:
    return await world.hunter(
        "email-finder",
        first_name=person.first_name,
        last_name=person.last_name,
        domain=population.company_of(person).domain,
    )


async def _verify(world: Caller, email: str) -> Reply:
    reply = await world.hunter("email-verifier", email=email)
    is_put_off = reply.status in {202, 222}
    return await world.hunter("email-verifier", email=email) if is_put_off else reply


async def test_a_found_address_has_the_documented_keys_and_costs_a_credit(
    world: Caller, population: Population
) -> None:
    person = _known(population)

    reply = await _find(world, population, person)

    lines = await world.admin("invoices")
    assert keys_of(reply.json) == keys_of(sample("hunter.email_finder.success"))
    assert reply.json["data"]["email"] == person.email
    assert [(line["credits"], line["amount_micros"]) for line in lines] == [
        ("1", HUNTER_CREDIT_MICROS)
    ]


async def test_an_address_not_found_is_200_without_one_and_free(
    world: Caller, population: Population
) -> None:
    domain = population.companies[0].domain

    reply = await world.hunter("email-finder", first_name="No", last_name="Body", domain=domain)

    assert reply.status == 200
    assert keys_of(reply.json) == keys_of(sample("hunter.email_finder.not_found"))
    assert reply.json["data"]["email"] is None
    assert await world.admin("invoices") == []


async def test_a_finder_can_be_asked_by_full_name_and_company_or_handle(
    world: Caller, population: Population
) -> None:
    person = _known(population)
    company = population.company_of(person)

    by_name = await world.hunter("email-finder", full_name=person.name, company=company.name)
    by_handle = await world.hunter("email-finder", linkedin_handle=person.linkedin_slug)

    assert by_name.json["data"]["email"] == person.email
    assert by_handle.json["data"]["email"] == person.email


@pytest.mark.parametrize(
    ("params", "error_id"),
    [
        ({"first_name": "Mira", "last_name": "Okafor"}, "wrong_params"),
        ({"domain": "x.example", "last_name": "Okafor"}, "invalid_first_name"),
        ({"domain": "x.example", "first_name": "Mira", "last_name": " "}, "invalid_last_name"),
    ],
)
async def test_a_finder_without_enough_is_400(
    world: Caller, params: dict[str, str], error_id: str
) -> None:
    reply = await world.hunter("email-finder", **params)

    assert (reply.status, reply.json["errors"][0]["id"]) == (400, error_id)


async def test_who_claimed_their_address_is_451(world: Caller, population: Population) -> None:
    person = next(p for p in population.people if p.is_claimed and p.email)

    reply = await _find(world, population, person)
    verified = await world.hunter("email-verifier", email=person.email)

    assert (reply.status, reply.json["errors"][0]["id"]) == (451, "claimed_email")
    assert verified.status == 451


async def test_a_verification_has_the_documented_keys_and_costs_half_a_credit(
    world: Caller, population: Population
) -> None:
    person = next(
        p
        for p in population.people
        if p.email and not p.is_claimed and not population.company_of(p).is_catch_all
    )

    reply = await _verify(world, person.email)

    line = (await world.admin("invoices"))[0]
    assert keys_of(reply.json) == keys_of(sample("hunter.email_verifier.valid"))
    assert reply.json["data"]["status"] == "valid"
    assert (Decimal(line["credits"]), line["amount_micros"]) == (
        Decimal("0.5"),
        HUNTER_CREDIT_MICROS // 2,
    )


async def test_verdicts_follow_the_truth(world: Caller, population: Population) -> None:
    open_house = next(company for company in population.companies if company.is_catch_all)
    strict = next(company for company in population.companies if not company.is_catch_all)
    emails = {
        f"anybody@{open_house.domain}": "accept_all",
        f"nobody.here@{strict.domain}": "invalid",
        "someone@freemail.example": "webmail",
        "x1@throwaway.example": "disposable",
    }

    statuses = {email: (await _verify(world, email)).json["data"]["status"] for email in emails}

    assert statuses == emails


async def test_some_verifications_are_put_off_once_and_billed_once(
    world: Caller, population: Population
) -> None:
    emails = [p.email for p in population.people if p.email and not p.is_claimed][:80]

    first = [await world.hunter("email-verifier", email=email) for email in emails]
    put_off = [e for e, reply in zip(emails, first, strict=True) if reply.status in {202, 222}]
    second = [await world.hunter("email-verifier", email=email) for email in put_off]

    assert 0 < len(put_off) < 25
    assert {reply.status for reply in second} == {200}
    assert len(await world.admin("invoices")) == len(emails)


async def test_domain_search_pages_and_bills_by_ten(world: Caller, population: Population) -> None:
    domain = population.companies[2].domain
    whole = await world.hunter("domain-search", domain=domain, limit="100")
    paged = [
        (await world.hunter("domain-search", domain=domain, limit="2", offset=str(offset))).json
        for offset in range(0, whole.json["meta"]["results"], 2)
    ]

    emails = [email for page in paged for email in page["data"]["emails"]]
    lines = await world.admin("invoices")
    assert set(keys_of(whole.json)) <= keys_of(sample("hunter.domain_search.page1"))
    assert emails == whole.json["data"]["emails"]
    assert [line["credits"] for line in lines] == ["1"] * (1 + len(paged))


async def test_domain_search_without_a_domain_or_beyond_its_limit_is_400(world: Caller) -> None:
    nothing = await world.hunter("domain-search")
    beyond = await world.hunter("domain-search", domain="x.example", limit="101")

    assert nothing.json["errors"][0]["id"] == "wrong_params"
    assert beyond.json["errors"][0]["id"] == "pagination_error"


async def test_the_account_tells_the_credits(world: Caller, population: Population) -> None:
    await _find(world, population, _known(population))

    account = (await world.hunter("account")).json

    assert keys_of(account) == keys_of(sample("hunter.account.success"))
    assert account["data"]["requests"]["credits"] == {"used": 1.0, "available": 20_000.0}


async def test_too_fast_is_403_and_too_much_is_429(
    open_world: Open, population: Population
) -> None:
    person = _known(population)
    async with open_world(plan_multiplier=1, credits={"hunter": Decimal(3)}) as world:
        replies = [await _find(world, population, person) for _ in range(16)]

    assert [reply.status for reply in replies] == [200] * 3 + [429] * 12 + [403]
    assert "retry-after" not in replies[-1].headers
    assert replies[-1].json["errors"][0]["code"] == 403


async def test_the_key_may_come_in_three_ways(world: Caller) -> None:
    url = f"{world.at.hunter}/account"

    by_query = await world.call("GET", url, key="x", params={"api_key": "sandbox-hunter-key"})
    stranger = await world.call("GET", url, key="x")

    assert by_query.status == 200
    assert stranger.status == 401
    assert stranger.json["errors"][0]["id"] == "authentication_failed"
