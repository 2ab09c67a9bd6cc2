"""Cells of files as people have them, from the upload to the lead."""

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME

from tests.support.api import Client

pytestmark = pytest.mark.pg
DATA = Path(__file__).parents[1] / "domain/imports/data/messy_leads"


async def import_file(api: Client, raw: bytes, **mapping: Any) -> Any:
    """Import a file and return its view when it is done."""
    headers = {**api.auth, "Content-Type": "text/csv"}
    address = f"{api.address}/v1/imports?name=list.csv"
    async with api.session.post(address, data=io.BytesIO(raw), headers=headers) as response:
        assert response.status == 201, await response.read()
        path = f"/v1/imports/{(await response.json())['id']}"
    put = await api.ask("PUT", f"{path}/mapping", {"enrich": False, **mapping})
    assert put.status == 200, put.body
    assert (await api.post(f"{path}/start")).status == 202
    with anyio.fail_after(20):
        while (view := (await api.get(path)).json)["state"] != "completed":
            await REAL_TIME.sleep(0.02)
    return view


async def leads_of(api: Client, name: str) -> list[Any]:
    """Import a file as if for the first time; return the values and notes of its rows."""
    raw = (DATA / f"{name}.csv").read_bytes().replace(b"-t0", f"-{uuid4().hex[:10]}".encode())
    view = await import_file(api, raw)
    rows = (await api.get(f"/v1/imports/{view['id']}/rows?limit=100")).json["data"]
    leads = []
    for row in rows:
        assert row["leadId"], row
        lead = (await api.get(f"/v1/leads/{row['leadId']}")).json
        leads.append((lead["values"], row["notes"], lead))
    return leads


async def test_placeholders_are_stored_nowhere(api: Client) -> None:
    leads = await leads_of(api, "k05_placeholder_names")

    assert [values.get("first_name") for values, _, _ in leads] == [None, None, None]
    assert [values.get("company_name") for values, _, _ in leads] == ["U", None, None]
    assert {values["last_name"] for values, _, _ in leads} == {"Po"}
    assert "first_name: 'N/A' is no value" in leads[0][1]


async def test_an_e_mail_cell_gives_the_address_there_is_and_a_lead_without_one(
    api: Client,
) -> None:
    leads = await leads_of(api, "k06_email_cell")

    emails = [str(values.get("email")).partition("@")[0] for values, _, _ in leads]
    assert emails == ["None", "gus", "jon", "lea"]
    assert "email: 'N/A' is no value" in leads[0][1]


async def test_phone_numbers_are_those_of_the_file_or_none(api: Client) -> None:
    (one, _, _), (two, notes, _) = await leads_of(api, "k09_phone_float")

    assert one["phone"] == "+493012345678"
    assert "phone" not in two
    assert notes == ["phone: '000-000-0000' is no phone number"]


async def test_countries_are_two_letters(api: Client) -> None:
    leads = await leads_of(api, "k12_country_alpha3")

    assert [values["country"] for values, _, _ in leads] == ["DE", "GB", "US"]


async def test_sums_and_years_are_numbers(api: Client) -> None:
    leads = await leads_of(api, "k13_revenue_founded")

    numbers = [(values["company_revenue"], values["company_founded"]) for values, _, _ in leads]
    assert numbers == [(10_000_000, 2001), (12_500_000, 2001)]


async def test_no_default_makes_one_person_of_all_rows(api: Client) -> None:
    tag = uuid4().hex[:10]
    headers = {**api.auth, "Content-Type": "text/csv"}
    raw = f"Name,Company\nAda Low,{tag}\nBob Hi,{tag}\n".encode()
    address = f"{api.address}/v1/imports?name=list.csv"
    async with api.session.post(address, data=io.BytesIO(raw), headers=headers) as response:
        path = f"/v1/imports/{(await response.json())['id']}"

    answer = await api.ask("PUT", f"{path}/mapping", {"defaults": {"email": "a@acme.com"}})

    assert answer.status == 422
    [problem] = answer.json["fields"]
    assert problem["path"] == "defaults.email"
    assert "would make one person of all rows" in problem["problem"]


async def test_a_further_address_of_a_cell_is_kept_and_goes_with_the_import(api: Client) -> None:
    tag = uuid4().hex[:10]
    view = await import_file(api, f"Name,Email\nGus Ra,a@{tag}.com; b@{tag}.com\n".encode())
    [row] = (await api.get(f"/v1/imports/{view['id']}/rows?limit=9")).json["data"]
    lead = (await api.get(f"/v1/leads/{row['leadId']}")).json

    assert lead["values"]["email"] == f"a@{tag}.com"
    assert [value["value"] for value in lead["provenance"] if value["field"] == "email"] == [
        f"a@{tag}.com",
        f"b@{tag}.com",
    ]
    assert (await api.post(f"/v1/imports/{view['id']}/undo")).status == 202
    with anyio.fail_after(20):
        while (await api.get(f"/v1/leads/{row['leadId']}")).status != 404:
            await REAL_TIME.sleep(0.02)


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ({"email": "a@b.de; c@d.de"}, "email", "write one address"),
        ({"email": "a@b.com", "phone": "030 123456"}, "phone", "needs its country"),
        ({"email": "a@b.de", "country": "Georgia"}, "country", "Georgia (GE)"),
    ],
)
async def test_who_writes_to_the_api_is_told_what_to_write(
    api: Client, body: dict[str, str], path: str, words: str
) -> None:
    answer = await api.ask("POST", "/v1/leads", body)

    assert answer.status == 422
    problems = {field["path"]: field["problem"] for field in answer.json["fields"]}
    assert words in problems[path]


async def test_a_lead_that_the_api_is_given_is_read_like_a_file(api: Client) -> None:
    tag = uuid4().hex[:10]
    icp = (await api.post("/v1/icps", {"name": f"Cells {tag}"})).json
    body = {
        "icpId": icp["id"],
        "email": f"Jon Ra <jon@{tag}.com>",
        "firstName": "N/A",
        "lastName": "Null",
        "country": "Bavaria, Germany",
        "phone": "030 12345678",
        "mobilePhone": "0171 1234567",
    }

    answer = await api.ask("POST", "/v1/leads", body)

    assert answer.status in {201, 202}, answer.body
    lead = (await api.get(f"/v1/leads/{answer.json['leadId']}")).json
    values = lead["values"]
    expected = {
        "email": f"jon@{tag}.com",
        "country": "DE",
        "region": "Bavaria",
        "phone": "+493012345678",
        "mobile_phone": "+491711234567",
        "company_domain": f"{tag}.com",
    }
    assert {field: values.get(field) for field in expected} == expected
    assert {"first_name", "last_name"}.isdisjoint(values)


async def test_what_its_neighbors_show_to_be_a_name_is_stored_as_one(api: Client) -> None:
    tag = uuid4().hex[:10]
    icp = (await api.post("/v1/icps", {"name": f"Names {tag}"})).json
    body = {
        "icpId": icp["id"],
        "email": f"jennifer.null@none-{tag}.com",
        "firstName": "jennifer",
        "lastName": "null",
    }
    raw = f"First Name,Last Name,Email\njen,null,jen.null@none-{tag}.com\n".encode()

    made = await api.ask("POST", "/v1/leads", body)
    view = await import_file(api, raw)

    [row] = (await api.get(f"/v1/imports/{view['id']}/rows?limit=9")).json["data"]
    for lead_id in (made.json["leadId"], row["leadId"]):
        assert (await api.get(f"/v1/leads/{lead_id}")).json["values"]["last_name"] == "null"
