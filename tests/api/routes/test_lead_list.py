from typing import Any
from uuid import UUID, uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
SORTS = ["-createdAt", "createdAt", "-score", "score", "-updatedAt", "name"]


class Firm:
    """Five leads of a company of their own."""

    def __init__(self, api: Client, domain: str, ids: list[str]) -> None:
        self.api = api
        self.domain = domain
        self.ids = ids

    async def page(self, query: str = "") -> Any:
        answer = await self.api.get(f"/v1/leads?companyDomain={self.domain}{query}")
        assert answer.status == 200, answer.body
        return answer.json

    async def names(self, query: str = "") -> list[str]:
        return [lead["values"]["full_name"] for lead in (await self.page(query))["data"]]

    async def walk(self, query: str) -> list[str]:
        """Follow the cursor, two at a time."""
        lead_ids, page = list[str](), await self.page(f"{query}&limit=2")
        while True:
            lead_ids += [lead["id"] for lead in page["data"]]
            if (cursor := page["pagination"]["nextCursor"]) is None:
                return lead_ids
            page = await self.page(f"{query}&limit=2&cursor={cursor}")


NAMES = ["Zoë Abel", "Anna Müller", "anna Berg", "Éric Dupont", "Bo Li"]
TITLES = ["COO", "Head of Sales", "COO", "Plumber", "COO"]
COUNTRIES = ["DE", "DE", "NL", "FR", "DE"]


@pytest.fixture(scope="module")
async def firm(api: Client, icp_id: str) -> Firm:
    domain = f"f{uuid4().hex[:10]}.example"
    ids = []
    for number, name in enumerate(NAMES):
        body = a_lead(
            icp_id,
            email=f"p{number}@{domain}",
            fullName=name,
            title=TITLES[number],
            country=COUNTRIES[number],
            companyName="Straße & Söhne",
            companyDomain=domain,
        )
        ids.append((await api.post("/v1/leads", body)).json["leadId"])
    for lead_id in ids:
        await scored(api, lead_id)
    return Firm(api, domain, ids)


async def test_a_new_lead_is_listed_at_once_with_its_values(api: Client, icp_id: str) -> None:
    domain = f"f{uuid4().hex[:10]}.example"
    body = a_lead(icp_id, email=f"new@{domain}", companyDomain=domain, fullName="New Person")

    created = (await api.post("/v1/leads", body)).json
    listed = (await api.get(f"/v1/leads?companyDomain={domain}")).json

    (lead,) = listed["data"]
    assert lead["id"] == created["leadId"]
    assert lead["values"] == {
        "full_name": "New Person",
        "title": "COO",
        "email": f"new@{domain}",
        "company_domain": domain,
    }
    assert (lead["tags"], lead["owner"], lead["source"]) == ([], None, "api")


async def test_a_list_shows_the_same_values_as_the_lead_page(firm: Firm) -> None:
    rows = {lead["id"]: lead for lead in (await firm.page())["data"]}

    for lead_id in firm.ids:
        lead, row = (await firm.api.get(f"/v1/leads/{lead_id}")).json, rows[lead_id]
        assert row["values"].items() <= lead["values"].items()
        names = ("version", "status", "source", "owner", "companyId", "createdAt", "updatedAt")
        assert {name: row[name] for name in names} == {name: lead[name] for name in names}
        assert row["score"] == lead["score"]["score"]
        assert row["band"] == lead["score"]["band"]
        assert row["runId"] == lead["score"]["runId"]


@pytest.mark.parametrize("sort", SORTS)
async def test_following_the_cursor_lists_the_same_leads_as_one_page(firm: Firm, sort: str) -> None:
    page = (await firm.page(f"&sort={sort}"))["data"]

    walked = await firm.walk(f"&sort={sort}")

    assert walked == [lead["id"] for lead in page]
    assert set(walked) == set(firm.ids)


async def test_leads_are_sorted_by_name_time_and_score(firm: Firm) -> None:
    assert await firm.names("&sort=name") == [
        "anna Berg",
        "Anna Müller",
        "Bo Li",
        "Éric Dupont",
        "Zoë Abel",
    ]
    assert [lead["id"] for lead in (await firm.page("&sort=createdAt"))["data"]] == firm.ids
    best = [lead["score"] for lead in (await firm.page("&sort=-score"))["data"]]
    assert best == sorted(best, reverse=True)
    latest = [lead["updatedAt"] for lead in (await firm.page("&sort=-updatedAt"))["data"]]
    assert latest == sorted(latest, reverse=True)


async def test_pages_can_be_asked_for_by_number(firm: Firm) -> None:
    second = await firm.page("&sort=createdAt&page=2&limit=2")

    assert [lead["id"] for lead in second["data"]] == firm.ids[2:4]
    assert second["pagination"]["page"] == 2
    assert (second["pagination"]["total"], second["pagination"]["totalPages"]) == (5, 3)


async def test_a_cursor_belongs_to_its_order(firm: Firm) -> None:
    cursor = (await firm.page("&limit=2"))["pagination"]["nextCursor"]

    refused = await firm.api.get(f"/v1/leads?sort=name&cursor={cursor}")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "cursor"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("anna", ["Anna Müller", "anna Berg"]),
        ("mull", ["Anna Müller"]),
        ("MÜLLER anna", ["Anna Müller"]),
        ("muller, anna", ["Anna Müller"]),
        ("eric", ["Éric Dupont"]),
        ("head sal", ["Anna Müller"]),
        ("strasse plumb", ["Éric Dupont"]),
        ("p1@", ["Anna Müller"]),
        ("nna", []),
        ("anna zzz", []),
        ("!!!", []),
        ("", []),
        ("':* | 'x", []),
        ("a & b | !c <-> (d):*", []),
    ],
)
async def test_words_find_whole_words_and_beginnings(
    firm: Firm, text: str, names: list[str]
) -> None:
    answer = await firm.api.ask(
        "GET", f"/v1/leads?companyDomain={firm.domain}&q={quoted(text)}&sort=createdAt"
    )

    assert answer.status == 200, answer.body
    assert sorted(lead["values"]["full_name"] for lead in answer.json["data"]) == sorted(names)
    assert answer.json["pagination"]["total"] == len(names)


def quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def test_an_address_finds_its_lead_whole_and_by_its_beginning(firm: Firm) -> None:
    for text in (f"p3@{firm.domain}", f"P3@{firm.domain[:8]}"):
        page = (await firm.api.get(f"/v1/leads?q={quoted(text)}")).json

        assert [lead["id"] for lead in page["data"]] == [firm.ids[3]]


async def test_filters_narrow_together(firm: Firm) -> None:
    assert len(await firm.names("&country=de")) == 3
    assert await firm.names("&country=DE&q=anna") == ["Anna Müller"]
    assert await firm.names("&country=ES") == []
    scores = [lead["score"] for lead in (await firm.page("&sort=score"))["data"]]
    low = (await firm.page(f"&maxScore={scores[0]}"))["data"]
    assert [lead["score"] for lead in low] == [score for score in scores if score <= scores[0]]
    high = (await firm.page(f"&minScore={scores[-1]}"))["data"]
    assert [lead["score"] for lead in high] == [score for score in scores if score >= scores[-1]]
    assert len((await firm.page("&status=new"))["data"]) == 0
    assert len((await firm.page("&source=api"))["data"]) == 5
    assert len((await firm.page("&source=csv"))["data"]) == 0


async def test_times_bound_a_list_to_the_microsecond(firm: Firm) -> None:
    times = [lead["createdAt"] for lead in (await firm.page("&sort=createdAt"))["data"]]

    since = (await firm.page(f"&createdAfter={quoted(times[2])}"))["data"]
    until = (await firm.page(f"&createdBefore={quoted(times[2])}"))["data"]
    naive = await firm.api.get("/v1/leads?createdAfter=2026-01-05T09:00:00")

    assert {lead["id"] for lead in since} == set(firm.ids[2:])
    assert {lead["id"] for lead in until} == set(firm.ids[:2])
    assert naive.status == 422


@pytest.mark.parametrize("edge", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_the_first_and_last_instant_are_accepted(firm: Firm, edge: str) -> None:
    after = await firm.page(f"&createdAfter={edge}")
    before = await firm.page(f"&createdBefore={edge}")

    assert {len(after["data"]), len(before["data"])} == {0, 5}


@pytest.mark.parametrize("name", ["createdAfter", "createdBefore"])
@pytest.mark.parametrize("edge", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B01:00"])
async def test_an_instant_beyond_the_calendar_is_refused_by_its_name(
    api: Client, name: str, edge: str
) -> None:
    refused = await api.get(f"/v1/leads?{name}={edge}")

    assert (refused.status, refused.problem["code"]) == (422, "http.query.invalid")
    assert refused.problem["fields"][0]["path"] == name


async def test_tags_and_owners_narrow_a_list(firm: Firm, node_database: Database) -> None:
    owner = str(uuid4())
    await node_database.execute(
        sql("UPDATE lead SET tags = '{vip,\"two words\"}', owner = $1 WHERE id = $2", "o", "id"),
        o=owner,
        id=UUID(firm.ids[0]),
    )
    await node_database.execute(
        sql("UPDATE lead SET tags = '{vip}' WHERE id = $1", "id"), id=UUID(firm.ids[1])
    )

    assert await firm.names("&tag=vip&sort=createdAt") == NAMES[:2]
    assert await firm.names("&tag=vip,two%20words") == NAMES[:1]
    assert await firm.names("&tag=none-such") == []
    assert await firm.names(f"&owner={owner}") == NAMES[:1]
    assert len(await firm.names("&owner=none")) == 4
    refused = await firm.api.get("/v1/leads?owner=me")
    assert (refused.status, refused.problem["code"]) == (422, "leads.owner.nobody")


async def test_a_run_and_an_icp_show_their_own_scores(firm: Firm, icp_id: str) -> None:
    run_id = (await firm.page())["data"][0]["runId"]

    of_run = (await firm.api.get(f"/v1/leads?runId={run_id}&sort=-score")).json
    of_icp = await firm.page(f"&icpId={icp_id}&sort=-score")
    of_other = await firm.page(f"&icpId={uuid4()}")

    assert [lead["runId"] for lead in of_run["data"]] == [run_id]
    assert of_run["pagination"]["total"] == 1
    assert {lead["id"] for lead in of_icp["data"]} == set(firm.ids)
    assert of_other["data"] == []


async def test_deleted_leads_are_not_listed(
    api: Client, icp_id: str, node_database: Database
) -> None:
    domain = f"f{uuid4().hex[:10]}.example"
    ids = []
    for name in ("Ann One", "Ben Two"):
        body = a_lead(icp_id, fullName=name, companyDomain=domain)
        ids.append((await api.post("/v1/leads", body)).json["leadId"])
    await node_database.execute(
        sql("UPDATE lead SET deleted_at = created_at WHERE id = $1", "id"), id=UUID(ids[0])
    )

    listed = (await api.get(f"/v1/leads?companyDomain={domain}")).json

    assert [lead["id"] for lead in listed["data"]] == ids[1:]
    assert listed["pagination"]["total"] == 1


async def test_a_rep_with_limited_visibility_lists_their_own_leads(
    api: Client, icp_id: str
) -> None:
    domain = f"f{uuid4().hex[:10]}.example"
    rep = await api.client_of("SALES_REP")
    own_id = (
        await rep.post("/v1/leads", a_lead(icp_id, fullName="Ann One", email=f"a@{domain}"))
    ).json["leadId"]
    other_id = (
        await api.post("/v1/leads", a_lead(icp_id, fullName="Ben Two", email=f"b@{domain}"))
    ).json["leadId"]
    changed = await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})
    assert changed.status == 200, changed.body

    try:
        listed = (await rep.get("/v1/leads?limit=200")).json
        of_none = (await rep.get("/v1/leads?owner=none")).json
        by_email = (await rep.get(f"/v1/leads?email=b@{domain}")).json
        timelines = [
            await rep.get(f"/v1/leads/{lead_id}/timeline") for lead_id in (own_id, other_id)
        ]
        me = (await rep.get("/v1/leads?owner=me")).json
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert [lead["id"] for lead in listed["data"]] == [own_id]
    assert listed["pagination"]["total"] == 1
    assert of_none["data"] == by_email["data"] == []
    assert [timeline.status for timeline in timelines] == [200, 404]
    assert [lead["id"] for lead in me["data"]] == [own_id]
