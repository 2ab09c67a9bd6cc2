"""Export, empty database, import, export: the files are equal."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from leadflood.contracts.normalization.text import clean_text
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import open_database

from tests.support.api import Client, running_api, running_node
from tests.support.db import TestServer, cloned_database

pytestmark = pytest.mark.pg
DRAFTING = Path(__file__).parents[1] / "domain" / "drafting"
NAUGHTY = [
    text.replace("\x00", "")
    for text in json.loads((DRAFTING / "rules" / "blns.json").read_text("utf-8"))
]
PEOPLE = list(zip(*[iter([*NAUGHTY, "x;=1+1", "'=1", "a", "b"])] * 3, strict=False))
CSV = {"Content-Type": "text/csv"}
FIELDS = (
    "fullName,title,seniority,department,email,emailStatus,phone,linkedinUrl,city,country,"
    "companyName,companyDomain,companyIndustry,companySize,companyCountry,companyTechnologies,"
    "companyFounded,tags,ownerEmail"
)
COLUMNS = {
    "Full Name": "full_name",
    "Job Title": "title",
    "Department": "department",
    "Email": "email",
    "Email Status": "email_status",
    "Mobile": "phone",
    "City": "city",
    "Country": "country",
    "Company": "company_name",
    "Website": "company_domain",
    "Industry": "company_industry",
    "Employees": "company_size",
    "Technologies": "company_technologies",
    "Tags": "tags",
    "Owner of it": "owner",
}


@pytest.fixture(scope="module")
async def installations(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Client, Client]]:
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            settings = await stack.enter_async_context(cloned_database(database_server))
            database = await stack.enter_async_context(open_database(settings))
            folder = tmp_path_factory.mktemp(name)
            node = await stack.enter_async_context(running_node(database, settings, folder))
            clients.append(await stack.enter_async_context(running_api(node)))
        yield clients[0], clients[1]


def a_file() -> bytes:
    """Every naughty text is a title, a department or a city, three to a person."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number, texts in enumerate(PEOPLE):
        title, department, city = texts
        tags = "Fair 2026, VIP" if number % 3 else '"=1+1", old'
        technologies = 'Go, "Ruby, on Rails", x;=1+1' if number % 2 else ""
        writer.writerow(
            [
                f"Ann Lee{number}",
                title,
                department,
                f"p{number}@d{number % 40}.com",
                "verified",
                f"+49 30 {1234567 + number}",
                city,
                "Norway",
                f"''=Acme {number % 40}",
                f"d{number % 40}.com",
                "+Retail",
                "12",
                technologies,
                tags,
                "ann@team.com" if number % 2 else "",
            ]
        )
    return text.getvalue().encode("utf-8", "replace")


async def import_file(api: Client, raw: bytes, **mapping: Any) -> Any:
    staged = (await api.post("/v1/imports", raw=raw, headers=CSV)).json
    path = f"/v1/imports/{staged['id']}"
    put = await api.ask("PUT", f"{path}/mapping", {"enrich": False, **mapping})
    assert put.status == 200, put.body
    assert (await api.post(f"{path}/start")).status == 202
    with anyio.fail_after(30):
        while (view := (await api.get(path)).json)["state"] == "running":
            await REAL_TIME.sleep(0.05)
    assert view["state"] == "completed"
    return view


async def export(api: Client, form: str = "csv") -> bytes:
    answer = await api.get(f"/v1/leads/export?format={form}&fields={FIELDS}")
    assert answer.status == 200, answer.body
    return answer.body


def rows_of(raw: bytes) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(raw.decode(), newline="")))
    return [{name: cell for name, cell in row.items() if name != "id"} for row in rows]


async def test_an_export_is_a_way_back(installations: tuple[Client, Client]) -> None:
    first, second = installations
    for api in installations:
        await api.client_of("SALES_REP", email="ann@team.com")
    brought = await import_file(first, a_file(), columns=COLUMNS)
    exported = await export(first)

    returned = await import_file(second, exported)
    again = await export(second)

    rows = rows_of(exported)
    assert brought["counts"]["created"] == returned["counts"]["created"] == len(PEOPLE)
    assert rows_of(again) == rows
    assert returned["notes"] == []
    book = await import_file(second, await export(first, "xlsx"))
    assert book["counts"]["updated"] == len(PEOPLE)
    assert rows_of(await export(second)) == rows
    values = lines_of(await export(second, "ndjson"))
    assert values == lines_of(await export(first, "ndjson"))
    assert {tuple(lead["tags"]) for lead in values} == {("fair 2026", "vip"), ("=1+1", "old")}
    assert {lead["ownerEmail"] for lead in values} == {"ann@team.com", None}
    assert {lead["companyName"][:2] for lead in values} == {"'="}
    texts = {lead[field] for lead in values for field in ("title", "department", "city")} - {None}
    brought_texts = [text for person in PEOPLE for text in person]
    without_marks = [text.removeprefix("'") for text in brought_texts]
    assert texts <= {clean_text(text) for text in (*brought_texts, *without_marks)}
    assert len(texts) > 0.8 * len(set(NAUGHTY))


def lines_of(raw: bytes) -> list[dict[str, Any]]:
    leads = [json.loads(line) for line in raw.splitlines()]
    return [{name: value for name, value in lead.items() if name != "id"} for lead in leads]
