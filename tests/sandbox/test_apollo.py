"""The pretend Apollo, called over a real socket."""

from typing import Any

from leadflood.sandbox.population import Population
from leadflood.sandbox.prices import APOLLO_CREDIT_MICROS

from tests.sandbox.caller import Caller, keys_of, sample

_ICP: dict[str, Any] = {
    "person_titles": ["VP Operations", "Operations Director"],
    "person_locations": ["Germany", "United States"],
    "organization_num_employees_ranges": ["50,1000"],
}


async def _search(world: Caller, **filters: Any) -> Any:
    return (await world.apollo("mixed_people/api_search", {"per_page": 100} | filters)).json


async def _everyone(world: Caller, **filters: Any) -> list[Any]:
    people: list[Any] = []
    for page in range(1, 30):
        answer = await _search(world, page=page, **filters)
        people += answer["people"]
        if page * 100 >= answer["total_entries"]:
            break
    return people


async def test_a_page_has_the_documented_keys_and_no_others(world: Caller) -> None:
    answer = await _search(world, **_ICP)

    assert keys_of(answer) == keys_of(sample("apollo.people_search.page1"))


async def test_nobody_found_is_an_empty_page(world: Caller) -> None:
    answer = await _search(world, person_titles=["Lighthouse Keeper"])

    assert answer == sample("apollo.people_search.empty")


async def test_filters_really_filter(world: Caller, population: Population) -> None:
    people = await _everyone(world, **_ICP, include_similar_titles=False)
    expected = [
        person
        for person in population.people
        if person.title.words in _ICP["person_titles"]
        and person.country.name in _ICP["person_locations"]
        and 50 <= population.company_of(person).employee_count <= 1_000
    ]

    twins = sum(person.has_twin for person in expected)
    assert len(people) == len(expected) + twins
    assert {person["title"] for person in people} == set(_ICP["person_titles"])


async def test_similar_titles_come_along_unless_refused(world: Caller) -> None:
    similar = await _everyone(world, person_titles=["COO"])
    strict = await _everyone(world, person_titles=["COO"], include_similar_titles=False)

    assert {person["title"] for person in similar} == {"COO", "Chief Operating Officer"}
    assert {person["title"] for person in strict} == {"COO"}


async def test_technologies_domains_and_seniorities_narrow_the_search(
    world: Caller, population: Population
) -> None:
    company = population.companies[5]
    at_domain = await _everyone(world, q_organization_domains_list=[company.domain])
    with_sap = await _search(world, currently_using_any_of_technology_uids=["sap"])
    vps = await _everyone(world, person_seniorities=["vp"])

    assert {person["organization"]["name"] for person in at_domain} == {company.name}
    assert 0 < with_sap["total_entries"] < 2_000
    assert all("V" in person["title"] for person in vps)


async def test_an_unknown_filter_is_ignored(world: Caller) -> None:
    narrow = await _search(world, titles=["COO"])

    assert narrow["total_entries"] >= 2_000


async def test_query_parameters_with_brackets_work_too(world: Caller) -> None:
    url = f"{world.at.apollo}/mixed_people/api_search?person_titles[]=COO&page=1&per_page=3"

    answer = (await world.call("POST", url)).json

    assert len(answer["people"]) == 3
    assert answer["total_entries"] == (await _search(world, person_titles=["COO"]))["total_entries"]


async def test_pages_list_everyone_once_and_in_the_same_order(world: Caller) -> None:
    first, again = await _everyone(world, **_ICP), await _everyone(world, **_ICP)

    ids = [person["id"] for person in first]
    assert len(set(ids)) == len(ids) > 100
    assert first == again


async def test_a_bad_page_or_filter_is_422(world: Caller) -> None:
    replies = [
        await world.apollo("mixed_people/api_search", body)
        for body in ({"per_page": 101}, {"page": 0}, {"page": 501}, {"person_titles": "COO"})
    ]

    assert [(reply.status, reply.json) for reply in replies] == [
        (422, {"error": "Invalid parameters"})
    ] * 4


async def test_surnames_are_obfuscated_and_addresses_absent(world: Caller) -> None:
    person = (await _search(world, **_ICP))["people"][0]
    full = (await world.apollo("people/match", {"id": person["id"]})).json["person"]

    assert person["last_name_obfuscated"] != full["last_name"]
    assert "***" in person["last_name_obfuscated"]
    assert "email" not in person


async def test_a_match_has_the_documented_keys(world: Caller) -> None:
    person = (await _search(world, **_ICP))["people"][0]

    answer = (await world.apollo("people/match", {"id": person["id"]})).json

    answer["person"]["organization"]["industry_tag_hash"] = {}
    expected = sample("apollo.people_match.success")
    expected["person"]["organization"]["industry_tag_hash"] = {}
    assert keys_of(answer) == keys_of(expected)


async def test_a_match_is_found_by_id_address_profile_or_name_and_domain(
    world: Caller, population: Population
) -> None:
    person = next(
        p
        for p in population.people
        if p.apollo_knows and p.apollo_has_email and p.linkedin_slug and not p.has_twin
    )
    company = population.company_of(person)
    questions = (
        {"email": person.email},
        {"linkedin_url": f"http://www.linkedin.com/in/{person.linkedin_slug}"},
        {"name": person.name, "domain": company.domain},
        {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "organization_name": company.name,
        },
    )
    people = [(await world.apollo("people/match", body)).json["person"] for body in questions]
    by_id = (await world.apollo("people/match", {"id": people[0]["id"]})).json["person"]

    assert {match["id"] for match in (*people, by_id)} == {people[0]["id"]}
    assert by_id["email"] == person.email


async def test_a_match_costs_a_credit_and_a_miss_nothing(world: Caller) -> None:
    person = (await _search(world, **_ICP))["people"][0]

    await world.apollo("people/match", {"id": person["id"]}, reference="call-1")
    miss = await world.apollo("people/match", {"name": "No Body", "domain": "x.example"})
    lines = await world.admin("invoices")

    assert miss.json == {"person": None}
    assert [(line["reference"], line["credits"], line["amount_micros"]) for line in lines] == [
        ("call-1", "1", APOLLO_CREDIT_MICROS)
    ]


async def test_a_bulk_match_aligns_and_charges_what_it_found(world: Caller) -> None:
    people = (await _search(world, **_ICP))["people"][:3]
    details = [{"id": people[0]["id"]}, {"name": "No Body"}, {"id": people[1]["id"]}]

    reply = await world.apollo("people/bulk_match", {"details": details}, reference="bulk-1")

    answer, lines = reply.json, await world.admin("invoices")
    matched_ids = [match["id"] for match in answer["matches"] if match]
    assert set(answer) == set(sample("apollo.people_bulk_match.success"))
    assert answer["matches"][1] is None
    assert answer["credits_consumed"] == len(matched_ids) == answer["unique_enriched_records"]
    assert lines[0]["subjects"] == matched_ids
    assert lines[0]["amount_micros"] == len(matched_ids) * APOLLO_CREDIT_MICROS
    assert lines[0]["reference"] == "bulk-1"


async def test_a_bulk_match_takes_one_to_ten(world: Caller) -> None:
    none = await world.apollo("people/bulk_match", {})
    eleven = await world.apollo("people/bulk_match", {"details": [{"id": "x"}] * 11})

    assert (none.status, none.json["error_code"]) == (400, "INVALID_REQUEST")
    assert (eleven.status, eleven.json["error_code"]) == (400, "RECORD_LIMIT_EXCEEDED")


async def test_a_twin_is_another_record_of_the_same_person(
    world: Caller, population: Population
) -> None:
    twin = next(p for p in population.people if p.has_twin and p.apollo_knows and p.linkedin_slug)
    company = population.company_of(twin)
    rows = await _everyone(world, q_organization_domains_list=[company.domain])

    matches = [(await world.apollo("people/match", {"id": r["id"]})).json["person"] for r in rows]

    url = f"http://www.linkedin.com/in/{twin.linkedin_slug}"
    same = [match for match in matches if match and match["linkedin_url"] == url]
    assert len({match["id"] for match in same}) == 2
    assert len({match["first_name"] for match in same}) == 2


async def test_usage_tells_the_credits_spent(world: Caller) -> None:
    person = (await _search(world, **_ICP))["people"][0]
    await world.apollo("people/match", {"id": person["id"]})

    answer = (await world.apollo("usage_stats/credit_usage_stats", {})).json

    assert keys_of(answer) == keys_of(sample("apollo.credit_usage.success"))
    assert answer["credit_usage_stats"]["lead_credit"]["consumed"] == 1


async def test_health_needs_a_key(world: Caller) -> None:
    url = f"{world.at.apollo}/auth/health"

    healthy, stranger = await world.call("GET", url), await world.call("GET", url, key="wrong")

    assert healthy.json == {"healthy": True, "is_logged_in": True}
    assert stranger.status == 401
    assert stranger.headers["content-type"].startswith("text/plain")
    assert stranger.body.startswith(b"Invalid API key.")


async def test_headers_tell_three_windows(world: Caller) -> None:
    search = await world.apollo("mixed_people/api_search", _ICP)
    match = await world.apollo("people/match", {"id": "x"})

    assert search.headers["x-rate-limit-minute"] == "2000"
    assert search.headers["x-rate-limit-24-hour"] == "500000"
    assert search.headers["x-minute-usage"] == "1"
    assert search.headers["x-hourly-requests-left"] == "59999"
    assert match.headers["x-rate-limit-hourly"] == ""


async def test_the_old_search_is_closed(world: Caller) -> None:
    reply = await world.apollo("mixed_people/search", {})

    assert (reply.status, reply.json["error_code"]) == (403, "API_INACCESSIBLE")
