from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Answer, Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg


def a_domain() -> str:
    return f"c{uuid4().hex[:10]}.example"


async def made(api: Client, **over: Any) -> Any:
    answer = await api.post("/v1/companies", {"domain": a_domain(), **over})
    assert answer.status == 201, answer.body
    return answer.json


async def test_a_new_company_is_shown_with_the_source_of_each_value(api: Client) -> None:
    domain = a_domain()
    given = {"domain": f"https://www.{domain}/about", "name": "Acme", "industry": "Logistics"}

    company = await made(api, **given, country="Deutschland", size=120, technologies=["SAP", "Go"])

    shown = (await api.get(f"/v1/companies/{company['id']}")).json
    assert shown == company
    assert (shown["domain"], shown["name"], shown["version"]) == (domain, "Acme", 1)
    assert shown["values"] == {
        "company_country": "DE",
        "company_industry": "Logistics",
        "company_size": 120,
        "company_technologies": ["SAP", "Go"],
    }
    assert {(one["source"], one["isCurrent"]) for one in shown["provenance"]} == {("user", True)}
    assert (shown["leadCount"], shown["leads"]) == (0, [])


async def test_a_domain_is_one_company(api: Client) -> None:
    company = await made(api)

    again = await api.post("/v1/companies", {"domain": company["domain"].upper()})

    assert (again.status, again.problem["code"]) == (409, "leads.company.exists")
    assert company["id"] in again.problem["detail"]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"domain": "gmail.com"}, "domain"),
        ({"domain": "no domain"}, "domain"),
        ({"domain": "acme.example", "country": "Atlantis"}, "country"),
        ({"domain": "acme.example", "linkedinUrl": "https://x.example"}, "linkedinUrl"),
        ({"domain": "acme.example", "size": 0}, "size"),
        ({"name": "Acme"}, "domain"),
        ({"domain": "acme.example", "colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_a_company_names_its_field(
    api: Client, given: dict[str, Any], where: str
) -> None:
    refused = await api.post("/v1/companies", given)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == where


async def test_a_person_s_word_wins_over_a_provider_s_and_null_over_both(
    api: Client, icp_id: str
) -> None:
    domain = a_domain()
    lead = a_lead(icp_id, companyDomain=domain, companyIndustry="Retail", companySize="51-200")
    lead_id = (await api.post("/v1/leads", lead)).json["leadId"]
    company_id = (await scored(api, lead_id))["companyId"]
    before = (await api.get(f"/v1/companies/{company_id}")).json

    changed = await api.ask(
        "PATCH", f"/v1/companies/{company_id}", {"industry": "Logistics", "size": None}
    )

    assert before["values"] == {"company_industry": "Retail", "company_size": 125}
    assert (before["leadCount"], [one["id"] for one in before["leads"]]) == (1, [lead_id])
    assert changed.status == 200
    assert changed.json["values"] == {"company_industry": "Logistics"}
    assert changed.json["version"] == before["version"] + 1
    assert changed.headers["ETag"].startswith(f'"{changed.json["version"]}')
    current = [one["value"] for one in changed.json["provenance"] if one["isCurrent"]]
    assert sorted(map(str, current)) == ["Logistics", "None"]
    assert len(changed.json["provenance"]) == 4
    shown = (await api.get(f"/v1/leads/{lead_id}")).json
    assert shown["values"]["company_industry"] == "Logistics"
    assert "company_size" not in shown["values"]


async def test_of_two_editors_the_second_gets_a_version_conflict(api: Client) -> None:
    company = await made(api)
    path, seen = f"/v1/companies/{company['id']}", {"If-Match": '"1"'}
    answers = list[Answer]()

    async def edit(number: int) -> None:
        answers.append(await api.ask("PATCH", path, {"name": f"N{number}"}, headers=seen))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(edit, number)

    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412]
    assert (await api.get(path)).json["version"] == 2


async def test_a_company_with_leads_stays_and_one_without_is_deleted_with_its_values(
    api: Client, icp_id: str, node_database: Database
) -> None:
    empty = await made(api, industry="Retail")
    lead = a_lead(icp_id, companyDomain=a_domain())
    lead_id = (await api.post("/v1/leads", lead)).json["leadId"]
    company_id = (await api.get(f"/v1/leads/{lead_id}")).json["companyId"]

    kept = await api.ask("DELETE", f"/v1/companies/{company_id}")
    gone = await api.ask("DELETE", f"/v1/companies/{empty['id']}")

    assert (kept.status, kept.problem["code"]) == (409, "leads.company.in_use")
    assert (gone.status, gone.body) == (204, b"")
    assert (await api.get(f"/v1/companies/{empty['id']}")).status == 404
    assert (await api.ask("DELETE", f"/v1/companies/{empty['id']}")).status == 404
    left = await node_database.fetch_value(
        sql("SELECT count(*) FROM field_value WHERE subject_id = $1::text::uuid", "id"),
        id=empty["id"],
    )
    assert left == 0
    actions = await node_database.fetch(
        sql("SELECT action FROM audit_event WHERE subject_id = $1 ORDER BY id", "id"),
        id=empty["id"],
    )
    assert [row["action"] for row in actions] == ["company.created", "company.deleted"]


async def test_companies_are_listed_by_domain_filter_words_and_cursor(api: Client) -> None:
    mark = f"q{uuid4().hex[:8]}"
    industry = f"Industry {mark}"
    given = [
        {"domain": f"{mark}{n}.example", "name": f"{mark} Firm{n}", "industry": industry}
        for n in range(5)
    ]
    for one in given:
        await made(api, **one, country="DE" if one is given[0] else "NL")

    path = f"/v1/companies?q={mark}"
    first = (await api.get(f"{path}&limit=3")).json
    rest = (await api.get(f"{path}&limit=3&cursor={first['pagination']['nextCursor']}")).json
    germans = (await api.get(f"{path}&country=de")).json
    of_industry = (await api.get(f"/v1/companies?industry=Industry%20{mark}&page=2&limit=2")).json
    one = (await api.get(f"/v1/companies?domain={mark}2.example")).json

    domains = [company["domain"] for company in first["data"] + rest["data"]]
    assert domains == [company["domain"] for company in given]
    assert rest["pagination"]["nextCursor"] is None
    assert [page["pagination"]["total"] for page in (first, rest, germans)] == [5, 5, 1]
    assert [company["domain"] for company in germans["data"]] == domains[:1]
    assert [company["domain"] for company in of_industry["data"]] == domains[2:4]
    assert [company["name"] for company in one["data"]] == [f"{mark} Firm2"]
    assert one["data"][0]["values"]["company_industry"] == industry


async def test_an_idempotent_creation_happens_once(api: Client) -> None:
    given, key = {"domain": a_domain()}, {"Idempotency-Key": uuid4().hex}

    first = await api.post("/v1/companies", given, headers=key)
    again = await api.post("/v1/companies", given, headers=key)

    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
