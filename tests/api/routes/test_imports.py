"""Imports over HTTP: upload, map, preview, start, watch, undo."""

import codecs
import io
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO
from uuid import UUID, uuid4

import anyio
import pytest
from anyio import create_task_group
from leadflood.app import Node
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.imports import stage as stage_module
from leadflood.domain.imports.repository import rows as row_table
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.table_file import open_table_file
from leadflood.domain.imports.service import dry_run, uploads as upload_module
from leadflood.domain.leads.rules.identity_graph import MOST_BEARERS
from leadflood.domain.leads.rules.name_match import people_differ
from leadflood.engine.bulkhead import Bulkhead
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.sql import Query

from tests.support.api import Answer, Client, running_api, running_node
from tests.support.db import TestServer, cloned_database
from tests.support.workbooks import make_xlsx, make_zip

pytestmark = [pytest.mark.pg, pytest.mark.usefixtures("icp_id")]
CSV = {"Content-Type": "text/csv"}
MESSY = Path(__file__).parents[2] / "domain" / "imports" / "data" / "messy_leads"
FINAL_STATES = {"completed", "failed", "undone"}
LOCKED = Query("locked", "SELECT id FROM lead WHERE email = $1 FOR UPDATE", ("email",))
HASHES = Query(
    "hashes",
    """
    SELECT 'company' AS name,
        md5(coalesce(string_agg(md5(company::text), '' ORDER BY id), '')) AS md5
    FROM company
    UNION ALL
    SELECT 'identity',
        md5(coalesce(string_agg(md5(identity::text), '' ORDER BY kind, value), ''))
    FROM identity
    UNION ALL
    SELECT 'shared_identity',
        md5(coalesce(string_agg(md5(shared::text), '' ORDER BY kind, value, lead_id), ''))
    FROM shared_identity AS shared
    UNION ALL
    SELECT 'field_value', md5(coalesce(string_agg(md5(field_value::text), '' ORDER BY id), ''))
    FROM field_value
    UNION ALL
    SELECT 'lead_text', md5(coalesce(string_agg(md5(lead_text::text), '' ORDER BY lead_id), ''))
    FROM lead_text
    UNION ALL
    SELECT 'lead', md5(coalesce(string_agg(
        md5((to_jsonb(lead) - 'version' - 'updated_at')::text), '' ORDER BY id), ''))
    FROM lead
    """,
    (),
)


ACTS = Query(
    "acts", "SELECT action FROM audit_event WHERE subject_id = $1::text ORDER BY id", ("id",)
)


@pytest.fixture(scope="module")
async def node_settings(database_server: TestServer) -> AsyncIterator[Settings]:
    """A database of this file's own: nobody else changes it while its tables are compared."""
    async with cloned_database(database_server) as settings:
        yield settings


@pytest.fixture(scope="module")
async def node_database(node_settings: Settings) -> AsyncIterator[Database]:
    async with open_database(node_settings) as database:
        yield database


@pytest.fixture(scope="module")
async def node(
    node_database: Database, node_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("imports")
    async with running_node(node_database, node_settings, folder) as running:
        yield running


@pytest.fixture(scope="module")
async def api(node: Node) -> AsyncIterator[Client]:
    async with running_api(node) as client:
        yield client


@pytest.fixture(scope="module")
async def icp_id(api: Client) -> str:
    created = await api.post("/v1/icps", {"name": "Ops", "target": {"titles": ["COO"]}})
    return str(created.json["id"])


async def table_hashes(database: Database) -> dict[str, str]:
    return {row["name"]: row["md5"] for row in await database.fetch(HASHES)}


def a_file(tag: str, count: int = 3, start: int = 0) -> bytes:
    lines = ["First Name,Last Name,Email,Company,Website,Job Title"]
    lines += [
        f"Ann{n},Lee{n},ann{n}@{tag}{n % 3}.example,Acme {tag},https://{tag}{n % 3}.example,COO"
        for n in range(start, start + count)
    ]
    return "\n".join(lines).encode()


async def send(api: Client, raw: bytes, **headers: str) -> Answer:
    address = f"{api.address}/v1/imports?name=leads.csv"
    staged = {**api.auth, **CSV, **headers}
    async with api.session.post(address, data=io.BytesIO(raw), headers=staged) as response:
        return Answer(response.status, response.headers, await response.read())


async def upload(api: Client, raw: bytes, **headers: str) -> Any:
    answer = await send(api, raw, **headers)
    assert answer.status == 201, answer.body
    return answer.json


async def set_mapping(api: Client, staged: Any, **mapping: Any) -> Any:
    answer = await api.ask("PUT", f"/v1/imports/{staged['id']}/mapping", mapping)
    assert answer.status == 200, answer.body
    return answer.json


async def wait_for_end(api: Client, staged: Any, *, undo_job_id: str | None = None) -> Any:
    with anyio.fail_after(20):
        while True:
            view = (await api.get(f"/v1/imports/{staged['id']}")).json
            if view["state"] in FINAL_STATES and undo_job_id in {None, view["undoJobId"]}:
                return view
            await REAL_TIME.sleep(0.02)


async def import_file(api: Client, raw: bytes, **mapping: Any) -> Any:
    staged = await upload(api, raw)
    if mapping:
        await set_mapping(api, staged, **mapping)
    started = await api.post(f"/v1/imports/{staged['id']}/start")
    assert started.status == 202, started.body
    return await wait_for_end(api, staged)


async def undo_import(api: Client, staged: Any) -> Any:
    answer = await api.post(f"/v1/imports/{staged['id']}/undo")
    assert answer.status == 202, answer.body
    return await wait_for_end(api, staged, undo_job_id=answer.json["jobId"])


async def test_an_upload_shows_how_the_file_was_understood(api: Client) -> None:
    view = await upload(api, a_file("shown"))

    assert (view["state"], view["encoding"], view["delimiter"]) == ("uploaded", "utf-8", ",")
    assert view["rowCount"] == 3
    assert [column["guess"] for column in view["columns"]] == [
        "first_name",
        "last_name",
        "email",
        "company_name",
        "company_domain",
        "title",
    ]
    assert view["columns"][2]["samples"] == [
        "ann0@shown0.example",
        "ann1@shown1.example",
        "ann2@shown2.example",
    ]


async def test_undo_leaves_no_trace(api: Client, node_database: Database) -> None:
    before = await table_hashes(node_database)

    completed = await import_file(api, a_file("trace", 700), enrich=False, tags=["Fair"])
    tagged = (await api.get("/v1/leads?tag=fair&limit=1")).json
    undone_view = await undo_import(api, completed)

    assert completed["counts"]["created"] == 700
    assert tagged["data"]
    assert undone_view["counts"] == {**completed["counts"], "undone": 700, "kept": 0}
    assert await table_hashes(node_database) == before


async def test_rows_that_name_one_person_are_leads_merged_one_by_one(
    api: Client, node_database: Database
) -> None:
    tag = unique_tag()
    before = await table_hashes(node_database)
    lines = [f"ann{n % 350}@{tag}.example,,Ann,,,Job {n},Rome" for n in range(700)]

    completed = await import_file(api, rows(*lines), enrich=False)
    lead = await find_lead(api, f"ann0@{tag}.example")
    [again] = [row for row in await list_rows(api, completed, "duplicate") if row["number"] == 352]
    undone = await undo_import(api, completed)

    assert (completed["counts"]["created"], completed["counts"]["duplicate"]) == (350, 350)
    assert lead["values"]["title"] == "Job 350"
    assert [merge["leadId"] for merge in lead["merged"]] == [again["leadId"]]
    assert lead["merged"][0]["reason"] == "same email"
    assert undone["counts"]["kept"] == 0
    assert await table_hashes(node_database) == before


async def test_a_merged_row_taken_apart_is_a_lead_and_is_kept_by_the_undo(api: Client) -> None:
    tag = unique_tag()
    lines = [f"a@{tag}.example,,Ann,,,{title},Rome" for title in ("CTO", "CEO")]
    completed = await import_file(api, rows(*lines), enrich=False)
    [row] = await list_rows(api, completed, "duplicate")

    unmerged = await api.ask("DELETE", f"/v1/leads/{row['leadId']}/merge")
    apart = (await api.get(f"/v1/leads/{row['leadId']}")).json
    other = (await api.get(f"/v1/leads?email=a@{tag}.example&fields=id,values")).json["data"]
    undone = await undo_import(api, completed)

    assert unmerged.status == 204
    assert apart["id"] == row["leadId"]
    assert {lead["values"]["title"] for lead in other} == {"CTO", "CEO"}
    assert undone["counts"]["kept"] == 1


@pytest.mark.parametrize(
    ("name", "emails"),
    [
        ("k03_linkedin_company_page.csv", ["amy@k3a", "ben@k3a"]),
        ("k03_linkedin_pub.csv", ["john@k3c", "john@k3d"]),
        ("k03_same_name_same_domain.csv", ["john.smith@k3b", "john.smith2@k3b"]),
        ("k03_role_mailbox.csv", ["info@k3h"] * 3),
    ],
)
async def test_every_row_of_namesakes_and_shared_pages_is_a_person_of_their_own(
    api: Client, name: str, emails: list[str]
) -> None:
    tag = unique_tag()
    raw = (MESSY / name).read_text().replace("-t0", tag)
    staged = await upload(api, raw.encode())
    preview = (await api.post(f"/v1/imports/{staged['id']}/preview")).json

    first = await import_file(api, raw.encode(), enrich=False)
    again = await import_file(api, raw.encode(), enrich=False)

    assert (preview["counts"]["new"], preview["counts"]["bad"]) == (len(emails), 0)
    assert first["counts"]["created"] == len(emails)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, len(emails))
    address = f"{emails[0]}{tag}.com"
    listed = (await api.get(f"/v1/leads?email={address}")).json["data"]
    assert len(listed) == emails.count(emails[0])


async def test_a_page_of_a_company_is_kept_as_the_company_s(api: Client) -> None:
    tag = unique_tag()
    await import_file(
        api, rows(f"a@{tag}.example,linkedin.com/company/{tag},Ann Lee,,,,"), enrich=False
    )

    lead = await find_lead(api, f"a@{tag}.example")

    page = f"https://www.linkedin.com/company/{tag}"
    assert lead["values"]["company_linkedin_url"] == page
    assert "linkedin_url" not in lead["values"]


def rows(*lines: str) -> bytes:
    return "\n".join(("email,linkedin url,name,company,website,title,city", *lines)).encode()


def unique_tag() -> str:
    return f"x{uuid4().hex[:10]}"


async def find_lead(api: Client, address: str) -> Any:
    leads = (await api.get(f"/v1/leads?email={address}")).json["data"]
    return (await api.get(f"/v1/leads/{leads[0]['id']}")).json if leads else None


async def list_rows(api: Client, staged: Any, state: str = "") -> list[Any]:
    query = f"?state={state}" if state else ""
    view = (await api.get(f"/v1/imports/{staged['id']}/rows{query}")).json["data"]
    assert isinstance(view, list)
    return view


@pytest.fixture
async def own_leads_only(api: Client) -> AsyncIterator[None]:
    """SALES_REPs see their own leads, for this test."""
    assert (await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})).status == 200
    try:
        yield
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})


async def test_an_undo_takes_from_a_known_lead_exactly_what_the_file_gave_it(
    api: Client, icp_id: str, node_database: Database
) -> None:
    tag = unique_tag()
    address = f"a@{tag}.example"
    old = {
        "email": address,
        "fullName": "Ann Lee",
        "title": "CTO",
        "icpId": icp_id,
        "providers": [],
    }
    created = (await api.post("/v1/leads", old)).json
    with anyio.fail_after(20):
        while (await api.get(f"/v1/leads/{created['leadId']}")).json["score"] is None:
            await REAL_TIME.sleep(0.02)
    before = await table_hashes(node_database)
    original = await find_lead(api, address)

    line = f"a@{tag}.example,linkedin.com/in/{tag},Ann B. Lee,Other,https://other{tag}.example,CEO,Rome"
    completed = await import_file(api, rows(line), enrich=False, tags=["new", "old"])
    updated = await find_lead(api, address)
    undone_view = await undo_import(api, completed)

    after = await find_lead(api, address)
    assert completed["counts"]["updated"] == 1
    assert updated["values"]["title"] == "CEO"
    assert updated["values"]["company_domain"] == f"other{tag}.example"
    assert updated["version"] > original["version"]
    assert (undone_view["state"], undone_view["counts"]["undone"]) == ("undone", 1)
    assert await table_hashes(node_database) == before
    assert {**after, "version": 0, "updatedAt": ""} == {**original, "version": 0, "updatedAt": ""}
    assert after["version"] > updated["version"]


async def test_an_undo_splits_leads_that_a_row_has_merged(
    api: Client, node_database: Database
) -> None:
    tag = unique_tag()
    await import_file(api, rows(f"a@{tag}.example,,,,,,"), enrich=False)
    await import_file(api, rows(f",linkedin.com/in/{tag},,,,,"), enrich=False)
    before = await table_hashes(node_database)

    completed = await import_file(
        api, rows(f"a@{tag}.example,linkedin.com/in/{tag},,,,,Oslo"), enrich=False
    )
    merged = await find_lead(api, f"a@{tag}.example")
    await undo_import(api, completed)

    assert len(merged["merged"]) == 1
    assert await table_hashes(node_database) == before


async def test_an_undo_keeps_leads_that_somebody_has_changed_and_says_why(api: Client) -> None:
    tag = unique_tag()
    completed = await import_file(api, a_file(tag, 3), enrich=False)
    edited = await find_lead(api, f"ann1@{tag}1.example")
    change = await api.ask("PATCH", f"/v1/leads/{edited['id']}", {"title": "Owner"})
    assert change.status == 200

    undone_view = await undo_import(api, completed)

    [kept_row] = await list_rows(api, undone_view, "kept")
    assert undone_view["counts"]["kept"] == 1
    assert (kept_row["leadId"], kept_row["reason"]) == (edited["id"], "somebody has changed it")
    assert await find_lead(api, f"ann0@{tag}0.example") is None
    assert (await find_lead(api, f"ann1@{tag}1.example"))["values"]["first_name"] == "Ann1"


async def test_an_undo_keeps_leads_whose_agreement_is_on_record(api: Client) -> None:
    tag = unique_tag()
    completed = await import_file(api, a_file(tag, 2), enrich=False)
    agreed = await find_lead(api, f"ann1@{tag}1.example")
    evidence = {"wording": "Write to me", "source": "a fair"}
    put = await api.ask("PUT", f"/v1/leads/{agreed['id']}/opt-ins/email", evidence)
    assert put.status == 200

    undone_view = await undo_import(api, completed)

    [kept_row] = await list_rows(api, undone_view, "kept")
    reason = "its agreement to be written to is on record"
    assert (kept_row["leadId"], kept_row["reason"]) == (agreed["id"], reason)


async def test_two_files_that_name_one_person_are_undone_in_any_order(
    api: Client, node_database: Database
) -> None:
    tag = unique_tag()
    before = await table_hashes(node_database)
    first = await import_file(api, rows(f"a@{tag}.example,,Ann Lee,,,CTO,"), enrich=False)
    second = await import_file(api, rows(f"a@{tag}.example,,Ann Lee,,,CEO,Rome"), enrich=False)

    kept_row = await undo_import(api, first)
    [row] = await list_rows(api, kept_row, "kept")
    await undo_import(api, second)
    undone_again = await undo_import(api, kept_row)

    assert row["reason"] == "another import names it too"
    assert undone_again["counts"]["kept"] == 0
    assert await table_hashes(node_database) == before


async def test_an_import_may_be_undone_while_it_runs(api: Client, node_database: Database) -> None:
    staged = await upload(api, a_file(unique_tag(), 1_200))
    await set_mapping(api, staged, providers=[])
    assert (await api.post(f"/v1/imports/{staged['id']}/start")).status == 202

    answer = await api.post(f"/v1/imports/{staged['id']}/undo")
    undone_view = await wait_for_end(api, staged, undo_job_id=answer.json["jobId"])

    remaining = Query(
        "left",
        "SELECT count(*) FROM lead WHERE id IN"
        " (SELECT lead_id FROM import_row WHERE run_id = $1::uuid)",
        ("id",),
    )
    assert answer.status == 202
    assert undone_view["state"] == "undone"
    assert await node_database.fetch_value(remaining, id=staged["id"]) == 0


async def test_a_file_started_many_times_at_once_is_imported_once(
    api: Client, node_database: Database
) -> None:
    staged = await upload(api, a_file(unique_tag(), 30))
    await set_mapping(api, staged, providers=[])
    answers: list[Any] = []

    async def start() -> None:
        answers.append(await api.post(f"/v1/imports/{staged['id']}/start"))

    async with create_task_group() as group:
        for _ in range(8):
            group.start_soon(start)
    completed = await wait_for_end(api, staged)

    assert {answer.status for answer in answers} == {202}
    assert len({(first.json["runId"], first.json["jobId"]) for first in answers}) == 1
    assert completed["counts"]["created"] == 30
    acts = await node_database.fetch(ACTS, id=staged["id"])
    assert [row["action"] for row in acts] == ["import.started"]


async def test_leads_of_a_file_are_enriched_and_scored_in_its_run(api: Client, icp_id: str) -> None:
    tag = unique_tag()

    completed = await import_file(api, a_file(tag, 2), icpId=icp_id, providers=[], sends="never")

    with anyio.fail_after(20):
        while (lead := await find_lead(api, f"ann0@{tag}0.example"))["score"] is None:
            await REAL_TIME.sleep(0.02)
    assert lead["score"]["runId"] == completed["runId"] == completed["id"]


async def test_an_undo_hides_the_drafts_of_its_leads(api: Client) -> None:
    icp = {"name": "All", "bands": {"high": 2, "medium": 1}, "target": {"titles": ["COO"]}}
    icp_id = (await api.post("/v1/icps", icp)).json["id"]
    completed = await import_file(api, a_file(unique_tag(), 2), icpId=icp_id, providers=[])
    path = f"/v1/messages?runId={completed['id']}"
    with anyio.fail_after(20):
        while len((await api.get(path)).json["data"]) < 2:
            await REAL_TIME.sleep(0.02)

    undone_view = await undo_import(api, completed)

    assert undone_view["counts"]["undone"] == 2
    assert (await api.get(path)).json["data"] == []
    assert (await api.get(f"/v1/leads?runId={completed['id']}")).json["data"] == []


async def test_the_same_file_is_staged_once_and_recognized_later(api: Client) -> None:
    raw = a_file(unique_tag(), 2)
    first, second = await upload(api, raw), await upload(api, raw)
    await set_mapping(api, first, enrich=False)
    await api.post(f"/v1/imports/{first['id']}/start")
    await wait_for_end(api, first)

    third = await upload(api, raw)
    completed = await import_file(api, raw, enrich=False)

    assert second["id"] == first["id"]
    assert third["id"] != first["id"]
    assert [first["id"] for first in third["sameAs"]] == [first["id"]]
    assert (completed["counts"]["created"], completed["counts"]["updated"]) == (0, 2)


async def test_an_upload_with_an_idempotency_key_is_staged_once(api: Client) -> None:
    key = {"Idempotency-Key": unique_tag()}
    raw = a_file(unique_tag())

    first, repeated = await upload(api, raw, **key), await upload(api, raw, **key)
    second = await api.post("/v1/imports", raw=a_file(unique_tag()), headers={**CSV, **key})

    assert first == repeated
    assert second.status == 422
    assert second.problem["code"] == "http.idempotency.reused"


async def test_a_form_may_bring_the_file(api: Client) -> None:
    part = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="my leads.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n" + a_file(unique_tag()) + b"\r\n"
    )
    form = {"Content-Type": "multipart/form-data; boundary=b"}

    view = await api.post("/v1/imports", raw=part + b"--b--\r\n", headers=form)
    twice = await api.post("/v1/imports", raw=part * 2 + b"--b--\r\n", headers=form)
    cut = await api.post("/v1/imports", raw=part[:-40], headers=form)

    assert (view.status, view.json["name"], view.json["rowCount"]) == (201, "my leads.csv", 3)
    assert (twice.status, twice.problem["code"]) == (422, "http.upload.parts")
    assert (cut.status, cut.problem["code"]) == (400, "http.upload.malformed")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "leads.csv.empty"),
        (b"email,name\n", "leads.csv.empty"),
        (b"PK\x03\x04" + b"\0" * 500, "leads.zip.broken"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 500, "leads.workbook.unreadable"),
        (make_zip({"leads.csv": bytes(150_000_000)}), "leads.workbook.too_large"),
        (b'[{"email": "ann@b.example"}]', "leads.csv.foreign"),
        (b"<html><table><tr><td>email", "leads.csv.foreign"),
        (b"%PDF-1.7\n", "leads.csv.foreign"),
        (b"\x1f\x8b\x08" + b"\0" * 100, "leads.csv.foreign"),
        (b"email" + b",email" * 100_000 + b"\na@b.example\n", "leads.csv.too_wide"),
        (b"email" + b",email" * 1_000_000 + b"\na@b.example\n", "leads.csv.too_wide"),
        (b"x" * 2_000_000, "leads.csv.broken"),
        (b"email,a\n" + b'a"b,"c\n' * 400_000, "leads.csv.broken"),
    ],
)
async def test_a_file_that_holds_no_leads_is_refused_with_advice(
    api: Client, raw: bytes, code: str
) -> None:
    answer = await send(api, raw)

    assert (answer.status, answer.problem["code"]) == (422, code)


@pytest.mark.parametrize(
    ("body", "rows_read", "bad"),
    [
        (b"email,name\na@b\x00.example,Ann\x00 Lee\n", 1, 0),
        (b"email,name\nann@b.example," + b"y" * 1_000_000 + b"\n", 1, 0),
        (b"email,name\nann@b.example," + b"y" * 2_000_000 + b"\nbob@b.example,Bob\n", 2, 1),
        (b'email,name\nann@b.example,"Ann\nbob@b.example,Bob\n', 2, 1),
        (b"email,name\nann@b.example,Ann,more,and more\nbob@b.example\n", 2, 0),
        (codecs.BOM_UTF16_LE + "email;name\nzoe@b.example;Zoë\n".encode("utf-16-le"), 1, 0),
        (
            "email,name\nzoe@b.example,Zoë ŁŁŁ żółć\n".encode()
            + "jo@b.example,Jörg\n".encode("cp1252"),
            2,
            0,
        ),
        (b"email,name\nann@b.example,\xff\xfe\xfd\n", 1, 0),
    ],
)
async def test_odd_bytes_are_read_as_far_as_possible(
    api: Client, body: bytes, rows_read: int, bad: int
) -> None:
    view = await upload(api, body)

    assert (view["rowCount"], view["counts"]["bad"]) == (rows_read, bad)


async def test_a_sheet_of_a_workbook_is_imported(api: Client) -> None:
    tag = unique_tag()
    header = ["Name", "Email", "Phone"]
    raw = make_xlsx(
        {
            "Info": [["Leads of May"]],
            "May": [header, ["Ann Lee", f"ann@{tag}.example", 493012345678]],
            "June": [header, ["Bob Ash", f"bob@{tag}.example", "+4930123456"]],
        }
    )
    binary = {"Content-Type": "application/octet-stream"}

    may = (await api.post("/v1/imports", raw=raw, headers=binary)).json
    again = (await api.post("/v1/imports", raw=raw, headers=CSV)).json
    june = (await api.post("/v1/imports?sheet=June&name=leads.xlsx", raw=raw, headers=CSV)).json
    none = await api.post("/v1/imports?sheet=July", raw=raw, headers=CSV)

    assert (may["encoding"], may["sheet"]) == ("xlsx", "May")
    assert may["sheets"] == ["Info", "May", "June"]
    assert again["id"] == may["id"]
    assert (june["sheet"], june["rowCount"]) == ("June", 1)
    assert june["id"] != may["id"]
    assert (none.status, none.problem["code"]) == (422, "leads.workbook.no_sheet")
    await set_mapping(api, may, enrich=False)
    await api.post(f"/v1/imports/{may['id']}/start")
    await wait_for_end(api, may)
    [row] = await list_rows(api, may)
    assert (row["state"], row["number"], row["cells"][2]) == ("created", 2, "493012345678")


async def test_short_rows_are_told_and_counted(api: Client) -> None:
    tag = unique_tag()
    lines = (
        "First Name,Last Name,Company,Email,City",
        f"Ada,Low,ada@{tag}.example",
        f"Bob,Hi,B,bob@{tag}.example",
    )

    completed = await import_file(api, "\n".join(lines).encode(), enrich=False)

    [bad] = await list_rows(api, completed, "bad")
    assert completed["warnings"][-1].startswith("2 rows have fewer cells than the header")
    assert "stands in the column of company_name" in bad["reason"]
    assert completed["counts"]["created"] == 1
    assert completed["notes"][0]["text"].startswith(
        "1 rows have fewer or more cells than the header"
    )


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("k07_comma_space_quotes", {2: "created", 3: "created"}),
        (
            "k07_unclosed_quote",
            {2: "created", 3: "bad", 4: "created", 5: "created", 6: "created"},
        ),
        ("k08_dropped_cells", dict.fromkeys(range(2, 17), "created")),
        ("k17_short_row", {2: "bad", 3: "created"}),
    ],
)
async def test_a_file_as_people_have_it_is_imported_row_by_row(
    api: Client, name: str, states: dict[int, str]
) -> None:
    raw = (MESSY / f"{name}.csv").read_bytes().replace(b"-t0", unique_tag().encode())

    completed = await import_file(api, raw, enrich=False)

    view = await list_rows(api, completed)
    assert {row["number"]: row["state"] for row in view} == states
    assert all(row["reason"] for row in view if row["state"] == "bad")
    if name == "k08_dropped_cells":
        noted = {row["number"] for row in view if row["notes"]}
        assert noted >= {14, 16}
        assert {note["field"] for note in completed["notes"]} >= {"country", "company_size"}


async def test_mixed_encodings_give_a_warning(api: Client) -> None:
    raw = "email,name\nz@b.example,Łódź Żółć\n".encode() + b"j@b.example,J\xf6rg\n"

    view = await upload(api, raw)

    assert view["encoding"] == "utf-8"
    assert view["warnings"][0].startswith("1 places are no UTF-8")
    assert view["columns"][1]["samples"] == ["Łódź Żółć", "Jörg"]


async def test_a_file_that_is_too_large_or_of_another_type_is_refused(node: Node) -> None:
    async with running_api(node, import_bytes=1_000) as api:
        large = await api.post("/v1/imports", raw=b"email\n" * 100_000, headers=CSV)
        json = await api.post("/v1/imports", {"email": "a"})
        packed = await api.post(
            "/v1/imports", raw=b"email\n", headers={**CSV, "Content-Encoding": "gzip"}
        )

    assert (large.status, large.problem["code"]) == (413, "http.upload.too_large")
    assert (json.status, json.problem["code"]) == (415, "http.upload.type")
    assert packed.status in {400, 415}


async def test_a_mapping_that_does_not_fit_is_refused_field_by_field(api: Client) -> None:
    staged = await upload(api, a_file(unique_tag()))
    path = f"/v1/imports/{staged['id']}/mapping"

    wrong = await api.ask(
        "PUT",
        path,
        {
            "columns": {"Nope": "email", "Job Title": "title"},
            "defaults": {"country": "Atlantis"},
            "tags": ["a,b"],
        },
    )
    unknown = await api.ask("PUT", path, {"columns": {"Email": "shoe_size"}})
    no_owner = await api.ask("PUT", path, {"ownerId": str(uuid4())})
    no_provider = await api.ask("PUT", path, {"providers": ["yelp"]})

    assert wrong.status == unknown.status == no_owner.status == no_provider.status == 422
    assert {first["path"] for first in wrong.problem["fields"]} == {
        "columns.Nope",
        "columns",
        "defaults.country",
        "tags[0]",
    }


async def test_a_mapping_is_changed_only_from_its_current_version(api: Client) -> None:
    staged = await upload(api, a_file(unique_tag()))
    path = f"/v1/imports/{staged['id']}"
    etag = (await api.get(path)).headers["ETag"]

    first = await api.ask("PUT", f"{path}/mapping", {}, headers={"If-Match": etag})
    second = await api.ask("PUT", f"{path}/mapping", {}, headers={"If-Match": etag})

    assert (first.status, second.status) == (200, 412)
    assert first.headers["ETag"] != etag


async def test_a_preview_gives_way_to_who_writes_the_same_leads(
    api: Client, node_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = unique_tag()
    raw = rows(f"known@{tag}.example,,,,,,")
    await import_file(api, raw, enrich=False)
    staged = await upload(api, rows(f"known@{tag}.example,,Ann,,,,"))
    monkeypatch.setattr(dry_run, "PAUSE_SECONDS", 0.01)
    path = f"/v1/imports/{staged['id']}/preview"

    async with node_database.transaction() as tx:
        await tx.fetch(LOCKED, email=f"known@{tag}.example")
        with anyio.fail_after(8):
            busy = await api.post(path)

    assert (busy.status, busy.problem["code"]) == (503, "leads.import.busy")
    assert (await api.post(path)).status == 200
    assert dry_run.LOCK_SECONDS < 1.0, "PostgreSQL looks for deadlocks after a second"


async def test_a_preview_keeps_an_import_of_the_same_people_no_longer_than_its_time(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"p{n}@{unique_tag()}.example,,,,,," for n in range(3)]
    slow, real = await upload(api, rows(*people)), await upload(api, rows(*reversed(people)))
    await set_mapping(api, real, enrich=False)
    monkeypatch.setattr(dry_run, "PART_ROWS", 1)
    monkeypatch.setattr(dry_run, "HOLD_SECONDS", 0.5)
    record, calls = row_table.record_results, []
    is_holding = anyio.Event()
    previews: list[Any] = []

    async def record_slowly(tx: Any, import_id: UUID, results: Any) -> None:
        if str(import_id) == slow["id"]:
            calls.append(results)
            is_holding.set()
            if len(calls) > 1:
                await REAL_TIME.sleep(30)
        await record(tx, import_id, results)

    async def preview() -> None:
        previews.append((await api.post(f"/v1/imports/{slow['id']}/preview")).json)

    monkeypatch.setattr(row_table, "record_results", record_slowly)
    async with create_task_group() as group:
        group.start_soon(preview)
        await is_holding.wait()
        with anyio.fail_after(5):
            await api.post(f"/v1/imports/{real['id']}/start")
            completed = await wait_for_end(api, real)

    (shown,) = previews
    assert completed["counts"]["created"] == 3
    assert (shown["lookedAt"], shown["isSample"], shown["counts"]["new"]) == (1, True, 1)
    assert shown["warnings"] == ["only the first 1 rows were looked at: the import reads them all"]


async def test_previews_and_an_import_of_the_same_people_end_all(api: Client) -> None:
    tag = unique_tag()
    people = [f"p{n}@{tag}.example,,,,,," for n in range(300)]
    staged = [await upload(api, rows(*order)) for order in (people, people[::-1], people[::-1])]
    answers: list[int] = []

    async def preview(import_id: str) -> None:
        answers.append((await api.post(f"/v1/imports/{import_id}/preview")).status)

    async with anyio.create_task_group() as group:
        group.start_soon(preview, staged[0]["id"])
        group.start_soon(preview, staged[1]["id"])
        await api.ask("PUT", f"/v1/imports/{staged[2]['id']}/mapping", {"enrich": False})
        await api.post(f"/v1/imports/{staged[2]['id']}/start")
        completed = await wait_for_end(api, staged[2])

    assert set(answers) <= {200, 503}
    assert completed["counts"]["created"] == 300


async def test_a_preview_shows_the_outcomes_and_writes_nothing(
    api: Client, node_database: Database
) -> None:
    tag = unique_tag()
    await import_file(api, rows(f"known@{tag}.example,,,,,,"), enrich=False)
    raw = rows(
        f"known@{tag}.example,,Ann,,,,",
        f"new@{tag}.example,,Bob,,,CEO,",
        f"new@{tag}.example,,,,,,",
        "no address,,,,,,",
        ",,Nobody,,,,",
    )
    staged = await upload(api, raw)
    before = await table_hashes(node_database)

    view = (await api.post(f"/v1/imports/{staged['id']}/preview")).json

    assert view["counts"] == {
        "new": 1,
        "alreadyKnown": 1,
        "updated": 1,
        "skipped": 0,
        "duplicateInFile": 1,
        "bad": 2,
        "optedOut": 0,
    }
    assert [row["number"] for row in view["badRows"]] == [5, 6]
    assert "'no address' is no e-mail address" in view["badRows"][0]["reason"]
    assert [row["outcome"] for row in view["sample"]] == ["updated", "created", "duplicate"]
    assert view["sample"][1]["values"]["title"] == "CEO"
    assert await table_hashes(node_database) == before
    completed = await import_file(api, raw, enrich=False)
    counts = {
        name: completed["counts"][name] for name in ("created", "updated", "duplicate", "bad")
    }
    assert counts == {"created": 1, "updated": 1, "duplicate": 1, "bad": 2}


@pytest.mark.parametrize("on_duplicate", ["update", "skip"])
async def test_a_preview_says_what_the_import_then_does(api: Client, on_duplicate: str) -> None:
    tag = unique_tag()
    known = [f"known@{tag}.example,,,,,,", f"gone@{tag}.example,linkedin.com/in/g{tag},,,,,"]
    await import_file(api, rows(*known, f"part@{tag}.example,,,,,,"), enrich=False)
    gone = await find_lead(api, f"gone@{tag}.example")
    assert (await api.ask("DELETE", f"/v1/leads/{gone['id']}")).status < 300
    lines = [
        f"new@{tag}.example,,Bob,,,CEO,",
        f"NEW@{tag}.example,,Bob B,,,,Rome",
        f"known@{tag}.example,,Ann,,,,",
        f"gone@{tag}.example,,,,,,",
        f",linkedin.com/in/g{tag},,,,,",
        f"a@{tag}.example,,,,,,",
        f",linkedin.com/in/b{tag},,,,,",
        f"a@{tag}.example,linkedin.com/in/b{tag},,,,,",
        f"part@{tag}.example,linkedin.com/in/c{tag},,,,,",
        f",linkedin.com/in/c{tag},,,,CFO,",
        "nobody,,,,,,",
    ]
    staged = await upload(api, rows(*lines))
    await set_mapping(api, staged, enrich=False, onDuplicate=on_duplicate)

    preview = (await api.post(f"/v1/imports/{staged['id']}/preview")).json
    again = (await api.post(f"/v1/imports/{staged['id']}/preview")).json
    await api.post(f"/v1/imports/{staged['id']}/start")
    completed = await wait_for_end(api, staged)

    ends = {row["number"]: (row["state"], row["reason"]) for row in await list_rows(api, completed)}
    told = {row["number"]: (row["outcome"], row["reason"]) for row in preview["sample"]}
    told |= {row["number"]: ("bad", row["reason"]) for row in preview["badRows"]}
    counts, expected = preview["counts"], completed["counts"]
    assert again == preview
    assert told == ends
    assert (counts["new"], counts["updated"], counts["skipped"], counts["duplicateInFile"]) == (
        expected["created"],
        expected["updated"],
        expected["skipped"],
        expected["duplicate"],
    )


async def test_tags_and_owners_of_rows_are_given_and_taken_back(
    api: Client, node_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "PART_ROWS", 2)
    tag = unique_tag()
    rep = await api.client_of(Role.SALES_REP, email=f"{tag}@team.example")
    await import_file(api, f"email,tags\nold@{tag}.com,kept\n".encode(), enrich=False)
    before = await table_hashes(node_database)
    text = (
        "email,tags,whose\n"
        f"a@{tag}.com,Fair 2026; vip,{tag.upper()}@team.example\n"
        f"A@{tag}.com,later,\n"
        f"b@{tag}.com,{'x' * 41},nobody@team.example\n"
        f"old@{tag}.com,new,{tag}@team.example\n"
        f"OLD@{tag}.com,more,\n"
    )

    columns = {"email": "email", "tags": "tags", "whose": "owner"}
    completed = await import_file(api, text.encode(), columns=columns, tags=["all"], enrich=False)
    leads = {name: await find_lead(api, f"{name}@{tag}.com") for name in ("a", "b", "old")}
    notes = {row["number"]: row["notes"] for row in await list_rows(api, completed) if row["notes"]}
    undone = await undo_import(api, completed)

    assert [(lead["tags"], lead["owner"]) for lead in leads.values()] == [
        (["all", "fair 2026", "later", "vip"], rep.user_id),
        (["all"], None),
        (["all", "kept", "more", "new"], None),
    ]
    assert notes == {
        4: [
            f"tags: {'x' * 41!r} is not understood",
            "owner: 'nobody@team.example' is no user here",
        ]
    }
    assert (undone["counts"]["undone"], undone["counts"]["kept"]) == (5, 0)
    assert await table_hashes(node_database) == before


async def test_leads_that_are_only_stored_wait_for_nothing(api: Client) -> None:
    tag = unique_tag()

    await import_file(api, rows(f"a@{tag}.example,,,,,,"), enrich=False)

    assert (await find_lead(api, f"a@{tag}.example"))["status"] == "new"


async def test_known_leads_are_skipped_on_request(api: Client) -> None:
    tag = unique_tag()
    await import_file(api, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)

    completed = await import_file(
        api,
        rows(
            f"a@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,,Rome"
        ),
        enrich=False,
        onDuplicate="skip",
    )

    view = {row["number"]: row["state"] for row in await list_rows(api, completed)}
    assert view == {2: "skipped", 3: "created", 4: "duplicate"}
    assert (await find_lead(api, f"a@{tag}.example"))["values"]["title"] == "CTO"


async def test_the_mapping_decides_about_columns_and_defaults(api: Client) -> None:
    tag = unique_tag()

    await import_file(
        api,
        f"email,email,who\nold,a@{tag}.example,Ann Lee\n".encode(),
        columns={"email": None, "email (2, column 2)": "email", "who": "full_name"},
        defaults={"country": "Norway", "title": "Friend"},
        enrich=False,
    )

    values = (await find_lead(api, f"a@{tag}.example"))["values"]
    assert (values["full_name"], values["country"], values["title"]) == ("Ann Lee", "NO", "Friend")


async def test_an_initial_takes_no_names_place_and_a_later_name_does(api: Client) -> None:
    tag = unique_tag()
    rows = ("Eliza,Low,Sales", "Elizabeth,Low,Sales", "E.,Low,CEO")

    await import_file(
        api,
        "\n".join(
            ("first name,last name,title,email", *(f"{row},e@{tag}.example" for row in rows))
        ).encode(),
        enrich=False,
    )

    values = (await find_lead(api, f"e@{tag}.example"))["values"]
    assert (values["first_name"], values["title"]) == ("Elizabeth", "CEO")


async def test_who_reads_a_second_address_is_found_again_by_it(api: Client) -> None:
    tag = unique_tag()
    rows = (
        f"Zelma Quark,Zorb,zelma@{tag}.example; z.quark@{tag}p.example",
        f"Zelma Quark,Other,z.quark@{tag}p.example",
        f"Bert Low,Zorb,bert@{tag}.example; ann@{tag}.example",
        f"Ann Hi,Zorb,ann@{tag}.example",
    )

    completed = await import_file(
        api, "\n".join(("name,company,email", *rows)).encode(), enrich=False
    )

    states = [row["state"] for row in await list_rows(api, completed)]
    assert states == ["created", "duplicate", "created", "created"]


async def test_bad_rows_are_downloaded_with_their_reasons_and_neutral_cells(api: Client) -> None:
    completed = await import_file(api, b'email,name\n"=cmd|calc",+1\n', enrich=False)

    answer = await api.get(f"/v1/imports/{completed['id']}/bad-rows.csv")

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.body.decode().splitlines() == [
        "line,reason,email,name",
        (
            "2,\"email: '=cmd|calc' is no e-mail address; nothing tells who this is: an e-mail,"
            " a LinkedIn address, a name with a company, a phone or an external id, a company's"
            ' domain, or its name with a city, a country, a phone or an external id is needed",'
            "'=cmd|calc,'+1"
        ),
    ]


async def test_bad_rows_that_were_corrected_are_read_as_they_were(api: Client) -> None:
    tag = unique_tag()
    lines = (
        "Name,Company,Email,Phone,City",
        f"Ada Low,@home,ada@{tag}.example,+49 30 1234567,'s-Hertogenbosch,surplus",
        f'Bob Hi,"=B"x,bob@{tag}.example,,-',
    )
    completed = await import_file(api, "\n".join(lines).encode(), enrich=False)
    bad = (await api.get(f"/v1/imports/{completed['id']}/bad-rows.csv")).body

    corrected = bad.replace(b",surplus", b"").replace(b'""=B""x', b"=B")
    again = await import_file(api, corrected, enrich=False)

    assert (completed["counts"]["bad"], again["counts"]["bad"]) == (2, 0)
    ada = (await find_lead(api, f"ada@{tag}.example"))["values"]
    assert b"'@home" in corrected
    assert (ada["company_name"], ada["phone"]) == ("@home", "+49301234567")
    assert (await find_lead(api, f"bob@{tag}.example"))["values"]["company_name"] == "=B"


async def test_rows_are_listed_page_by_page(api: Client) -> None:
    completed = await import_file(api, a_file(unique_tag(), 7), enrich=False)
    path = f"/v1/imports/{completed['id']}/rows?limit=3"

    numbers: list[int] = []
    more = ""
    while True:
        view = (await api.get(path + more)).json
        numbers += [row["number"] for row in view["data"]]
        if view["pagination"]["nextCursor"] is None:
            break
        more = f"&cursor={view['pagination']['nextCursor']}"

    assert numbers == list(range(2, 9))


async def test_imports_are_listed_newest_first(api: Client) -> None:
    first, second = await upload(api, a_file(unique_tag())), await upload(api, a_file(unique_tag()))

    view = (await api.get("/v1/imports?state=uploaded&limit=2")).json["data"]

    assert [entry["id"] for entry in view] == [second["id"], first["id"]]


async def test_an_import_without_the_permission_is_refused(api: Client) -> None:
    viewer = await api.client_of(Role.VIEWER)

    answer = await viewer.post("/v1/imports", raw=a_file(unique_tag()), headers=CSV)

    assert answer.status == 403


@pytest.mark.usefixtures("own_leads_only")
async def test_a_rep_sees_and_changes_only_their_own_leads(api: Client) -> None:
    tag = unique_tag()
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    completed = await import_file(ann, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)

    etag = await bob.get(f"/v1/imports/{completed['id']}")
    foreign = await import_file(
        bob, rows(f"a@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,,"), enrich=False
    )

    [bad] = await list_rows(bob, foreign, "bad")
    lead = await find_lead(api, f"a@{tag}.example")
    assert lead["owner"] == ann.user_id
    assert lead["values"]["title"] == "CTO"
    assert etag.status == 404
    assert (bad["reason"], bad["leadId"]) == ("this person is a lead of somebody else", None)
    assert [first["id"] for first in (await bob.get("/v1/imports")).json["data"]] == [foreign["id"]]


@pytest.mark.usefixtures("own_leads_only")
async def test_an_undo_changes_no_lead_that_was_given_to_somebody_else_since(api: Client) -> None:
    tag = unique_tag()
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    await import_file(ann, rows(f"a@{tag}.example,,,,,,"), enrich=False)
    completed = await import_file(ann, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)
    lead = await find_lead(api, f"a@{tag}.example")
    assignment = await api.ask("PUT", f"/v1/leads/{lead['id']}/owner", {"ownerId": bob.user_id})

    undone = await undo_import(ann, completed)

    [kept] = await list_rows(ann, undone, "kept")
    assert (assignment.status, completed["counts"]["updated"]) == (200, 1)
    assert (kept["reason"], undone["counts"]["kept"]) == ("it was given to somebody else", 1)
    assert (await find_lead(api, f"a@{tag}.example"))["values"]["title"] == "CTO"


@pytest.mark.usefixtures("own_leads_only")
async def test_a_preview_does_not_tell_who_is_a_lead_of_somebody_else(api: Client) -> None:
    tag = unique_tag()
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    await import_file(ann, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)
    raw = rows(f"a@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,CEO,")
    upload = await bob.ask("POST", "/v1/imports", raw=raw, headers={"Content-Type": "text/csv"})

    preview = await bob.post(f"/v1/imports/{upload.json['id']}/preview")

    assert [row["outcome"] for row in preview.json["sample"]] == ["created", "created"]
    assert [row["leadId"] for row in preview.json["sample"]] == [None, None]
    assert preview.json["counts"]["bad"] == 0
    assert preview.json["warnings"] == [
        (
            "a row whose person is a lead of somebody else is refused when the import runs:"
            " a preview does not tell which"
        )
    ]


@pytest.mark.usefixtures("own_leads_only")
async def test_two_reps_importing_the_same_file_at_once_share_no_lead(api: Client) -> None:
    raw = a_file(unique_tag(), 400)
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    results: list[Any] = []

    async def import_as(client: Client) -> None:
        results.append(await import_file(client, raw, enrich=False))

    async with create_task_group() as group:
        group.start_soon(import_as, ann)
        group.start_soon(import_as, bob)

    counts = [first["counts"] for first in results]
    assert sum(first["created"] for first in counts) == 400
    assert sum(first["bad"] for first in counts) == 400
    assert {first["updated"] for first in counts} == {0}


async def test_two_managers_importing_the_same_file_at_once_create_each_lead_once(
    api: Client,
) -> None:
    raw = a_file(unique_tag(), 400)
    ann, bob = await api.client_of(Role.MANAGER), await api.client_of(Role.MANAGER)
    results: list[Any] = []

    async def import_as(client: Client) -> None:
        results.append(await import_file(client, raw, enrich=False))

    async with create_task_group() as group:
        group.start_soon(import_as, ann)
        group.start_soon(import_as, bob)

    assert len({first["id"] for first in results}) == 2
    assert sum(first["counts"]["created"] for first in results) == 400
    assert sum(first["counts"]["updated"] for first in results) == 400


async def test_without_the_delete_permission_only_own_imports_are_undone(api: Client) -> None:
    manager, rep = await api.client_of(Role.MANAGER), await api.client_of(Role.SALES_REP)
    foreign = await import_file(manager, a_file(unique_tag()), enrich=False)
    own = await import_file(rep, a_file(unique_tag()), enrich=False)

    refused = await rep.post(f"/v1/imports/{foreign['id']}/undo")
    undone_view = await undo_import(rep, own)

    assert (refused.status, refused.problem["code"]) == (403, "http.denied")
    assert (await api.get(f"/v1/imports/{foreign['id']}")).json["state"] == "completed"
    assert undone_view["state"] == "undone"


async def test_a_key_that_came_with_another_name_is_refused(api: Client) -> None:
    key = {"Idempotency-Key": "by-name"}
    await upload(api, a_file("named"), **key)

    address = f"{api.address}/v1/imports?name=other.csv"
    headers = {**api.auth, **CSV, **key}
    async with api.session.post(address, data=a_file("named"), headers=headers) as response:
        second = Answer(response.status, response.headers, await response.read())

    assert second.problem["code"] == "http.idempotency.reused"


async def test_many_uploads_that_take_long_to_read_leave_the_pool_to_others(
    api: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    reading: list[BinaryIO] = []
    answers: list[Answer] = []

    def open_slowly(file: BinaryIO, sheet: str | None) -> AbstractContextManager[CsvFile]:
        reading.append(file)
        may_go_on.wait(30)
        return open_table_file(file, sheet)

    async def send_one() -> None:
        answers.append(await send(api, b"email\n\n"))

    monkeypatch.setattr(upload_module, "open_table_file", open_slowly)
    async with create_task_group() as uploads:
        for _ in range(19):
            uploads.start_soon(send_one)
        with anyio.fail_after(20):
            while len(answers) < 19 - upload_module.MOST_UNDER_WAY or len(reading) < 2:
                await REAL_TIME.sleep(0.01)
        in_use = []
        for _ in range(50):  # stages and logins hold some for moments
            in_use.append(node.storage.db.in_use()[0])
            await REAL_TIME.sleep(0.01)
        may_go_on.set()

    codes = [answer.problem["code"] for answer in answers]
    assert set(codes) == {"leads.csv.empty", "imports.upload.busy"}
    assert codes.count("leads.csv.empty") == upload_module.MOST_UNDER_WAY
    assert median(in_use) <= 6  # none is held by an upload that is read or waits for it


async def test_no_more_files_are_taken_in_than_the_disk_is_to_hold(
    api: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Bulkhead(in_all=0, per_caller=upload_module.MOST_OF_USER)
    monkeypatch.setattr(node.services.import_uploads, "_under_way", full)

    refused = await send(api, a_file("busy"))

    assert refused.status == 429
    assert refused.problem["code"] == "imports.upload.busy"


async def test_the_slow_files_of_one_user_keep_only_that_user_waiting(api: Client) -> None:
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    may_end = anyio.Event()
    answers: list[Answer] = []

    async def slow_file() -> AsyncIterator[bytes]:
        yield a_file(unique_tag())
        await may_end.wait()

    async def send_slowly() -> None:
        headers = {**ann.auth, **CSV}
        address = f"{api.address}/v1/imports"
        async with api.session.post(address, data=slow_file(), headers=headers) as response:
            answers.append(Answer(response.status, response.headers, await response.read()))
            if response.status == 429 and len(answers) == 14:
                may_end.set()

    async with create_task_group() as uploads:
        for _ in range(16):
            uploads.start_soon(send_slowly)
        with anyio.fail_after(10):
            assert (await send(bob, a_file(unique_tag()))).status == 201

    assert sorted(answer.status for answer in answers) == [201] * 2 + [429] * 14


async def test_a_user_has_no_more_files_waiting_than_allowed(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "MOST_WAITING", 2)
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    for _ in range(2):
        await upload(ann, a_file(unique_tag()))

    refused = await send(ann, a_file(unique_tag()))

    assert (refused.status, refused.problem["code"]) == (429, "imports.upload.too_many")
    await upload(bob, a_file(unique_tag()))


async def test_the_same_file_sent_at_once_is_staged_once(api: Client) -> None:
    raw, ids = a_file("atonce", 300), []

    async def send_one() -> None:
        ids.append((await upload(api, raw))["id"])

    async with create_task_group() as uploads:
        for _ in range(8):
            uploads.start_soon(send_one)

    assert len(set(ids)) == 1


async def test_cells_of_which_only_the_beginning_is_kept_are_told(api: Client) -> None:
    raw = f"Email,Job Title\na@long.example,{'x' * 4_001}\nb@long.example,{'y' * 4_000}".encode()

    view = await upload(api, raw)

    assert view["warnings"] == [
        "1 cells are longer than 4,000 characters: only so many of each are kept"
    ]


async def test_cells_that_are_not_understood_are_told_per_row_and_counted(api: Client) -> None:
    text = (MESSY / "k08_dropped_cells.csv").read_text().replace("t0.com", f"{unique_tag()}.com")
    text = (
        text.replace("GBR", "Gondor")
        .replace("Slovak Republic", "Mordor")
        .replace("Congo", "Narnia")
    )

    completed = await import_file(api, text.encode(), enrich=False)

    noted = {row["number"]: row["notes"] for row in await list_rows(api, completed) if row["notes"]}
    summary = next(each for each in completed["notes"] if each["field"] == "country")
    faulty = await api.get(f"/v1/imports/{completed['id']}/bad-rows.csv?notes=true")
    assert set(noted) == {14, 15, 16}
    assert "country: 'Gondor' is not understood" in noted[14]
    assert summary["text"] == (
        "country: 3 of 15 not understood, such as 'Gondor', 'Mordor', 'Narnia'"
    )
    assert (summary["columns"], summary["of"]) == (["Country"], 15)
    lines = faulty.body.decode().splitlines()
    assert [int(line.partition(",")[0]) for line in lines[1:]] == sorted(noted)
    assert "'Gondor' is not understood" in lines[1]


@pytest.mark.parametrize(
    ("name", "count"), [("k20_companies_without_site.csv", 1), ("k20_phone_only_people.csv", 2)]
)
async def test_organisations_without_a_site_and_people_with_a_phone_alone_are_leads(
    api: Client, name: str, count: int
) -> None:
    raw = (MESSY / name).read_bytes()

    first = await import_file(api, raw, enrich=False)
    again = await import_file(api, raw, enrich=False)

    assert (first["counts"]["created"], first["counts"]["bad"]) == (count, 0)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, count)


async def test_an_external_id_is_one_lead_s_alone_in_its_source(api: Client) -> None:
    tag = unique_tag()
    raw = f"Ref,Company\n{tag}-1,Acme\n{tag}-2,Acme\n{tag}-1,Acme Ltd\n".encode()
    columns = {"Ref": "external_id", "Company": "company_name"}

    first = await import_file(api, raw, enrich=False, columns=columns, source="crm")
    again = await import_file(api, raw, enrich=False, columns=columns, source="CRM")
    other = await import_file(api, raw, enrich=False, columns=columns, source="shop")

    assert (first["counts"]["created"], first["counts"]["duplicate"]) == (2, 1)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, 2)
    assert other["counts"]["created"] == 2


async def test_ids_of_an_export_tell_namesakes_apart_and_find_each_again(api: Client) -> None:
    tag = unique_tag()
    lines = (
        "Contact ID,Name,Company,Title",
        f"{tag}-17,John Smith,{tag} Acme,CFO",
        f"{tag}-23,John Smith,{tag} Acme,Clerk",
        f"{tag}-23,John Smith,{tag} Acme,Head clerk",
    )
    raw = "\n".join(lines).encode()

    first = await import_file(api, raw, enrich=False)
    again = await import_file(api, raw, enrich=False)
    rows = (await api.get(f"/v1/imports/{first['id']}/rows")).json["data"]
    ids = [row["leadId"] for row in rows[:2]]
    pairs: list[Any] = []
    with anyio.fail_after(20):
        while not pairs:
            pairs = (await api.get(f"/v1/duplicates?leadId={ids[0]}")).json["data"]
            await REAL_TIME.sleep(0.05)

    assert (first["counts"]["created"], first["counts"]["duplicate"]) == (2, 1)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, 2)
    assert {pairs[0]["lead"]["id"], pairs[0]["other"]["id"]} == set(ids)
    assert "other id at contact id" in pairs[0]["reasons"]


async def leads_of(api: Client, import_id: str) -> list[str]:
    rows = (await api.get(f"/v1/imports/{import_id}/rows?limit=200")).json["data"]
    return [row["leadId"] for row in rows]


@pytest.mark.parametrize("reached_by", ["Domain", "Company"])
async def test_people_with_a_part_of_a_name_are_told_apart_and_each_is_found_again(
    api: Client, reached_by: str
) -> None:
    place = f"{unique_tag()}.example"
    lines = (
        f"First name,{reached_by},Job title",
        f"Anna,{place},CEO",
        f"Anna,{place},Clerk",
        f"Anna,{place},Clerk",
    )
    raw = "\n".join(lines).encode()

    first, again, skipped = [
        await import_file(api, raw, enrich=False, onDuplicate=choice)
        for choice in ("update", "update", "skip")
    ]
    ids = await leads_of(api, first["id"])
    pairs: list[Any] = []
    with anyio.fail_after(20):
        while len(pairs) < 3:
            pairs = (await api.get(f"/v1/duplicates?leadId={ids[0]}")).json["data"]
            pairs += (await api.get(f"/v1/duplicates?leadId={ids[1]}")).json["data"]
            await REAL_TIME.sleep(0.05)

    assert (first["counts"]["created"], first["counts"]["duplicate"]) == (3, 0)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, 3)
    assert (skipped["counts"]["created"], skipped["counts"]["skipped"]) == (0, 3)
    assert await leads_of(api, again["id"]) == ids
    assert {lead for pair in pairs for lead in (pair["lead"]["id"], pair["other"]["id"])} == {*ids}


async def test_each_of_many_behind_one_address_is_found_again(api: Client) -> None:
    tag = unique_tag()
    names: list[str] = []
    for signs in itertools.product("bdfgklmnprst", "aeiou", "vwxz", "aiu", "dkst"):
        name = f"{''.join(signs)} low"
        if len(names) < MOST_BEARERS + 20 and all(people_differ(name, each) for each in names):
            names.append(name)
    lines = ["Name,Email", *(f"{name.title()},{tag}@gmail.com" for name in names)]
    raw = "\n".join(lines).encode()

    first = await import_file(api, raw, enrich=False)
    again = await import_file(api, raw, enrich=False)
    last = await import_file(api, f"{lines[0]}\n{lines[-1]}".encode(), enrich=False)

    assert len(names) > MOST_BEARERS
    assert first["counts"]["created"] == len(names)
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, len(names))
    assert await leads_of(api, again["id"]) == await leads_of(api, first["id"])
    assert last["counts"]["updated"] == 1


async def test_a_count_of_rows_joins_and_parts_nobody(api: Client) -> None:
    tag = unique_tag()

    def rows(*names: str) -> bytes:
        lines = [f"{at},{name},{tag} Acme" for at, name in enumerate(names, 1)]
        return "\n".join(["Id,Name,Company", *lines]).encode()

    await import_file(api, rows("Ada Low", "Bob Hi"), enrich=False)
    next_export = await import_file(api, rows("Cid No", "Ada Low", "Bob Hi"), enrich=False)

    assert (next_export["counts"]["created"], next_export["counts"]["updated"]) == (1, 2)


@pytest.mark.parametrize(
    ("name", "address", "values"),
    [
        (
            "k10_dutch",
            "sanne@k10a-{tag}.nl",
            {
                "last_name": "de Vries",
                "title": "Operationeel directeur",
                "company_name": "Dutch A",
                "country": "NL",
                "phone": "+31201234567",
            },
        ),
        (
            "k10_google_contacts",
            "ada@k10c-{tag}.com",
            {"title": "COO", "company_name": "Goog A", "phone": "+49301234567"},
        ),
        (
            "k10_japanese_refused",
            "taro@k10e-{tag}.jp",
            {"full_name": "山田 太郎", "company_name": "株式会社A"},
        ),
        (
            "k10_salesforce_report",
            "ada@k10b-{tag}.com",
            {"title": "COO", "company_name": "Sfdc A", "country": "DE", "company_size": 250},
        ),
        ("k11_title_is_salutation", "sal@k11a-{tag}.com", {"title": "COO", "first_name": "Sal"}),
    ],
)
async def test_a_messy_file_is_imported_with_what_it_says(
    api: Client, name: str, address: str, values: dict[str, Any]
) -> None:
    tag = unique_tag()
    text = (MESSY / f"{name}.csv").read_text("utf-8").replace("t0", tag)

    completed = await import_file(api, text.encode(), enrich=False)

    lead = await find_lead(api, address.format(tag=tag))
    assert completed["counts"]["bad"] == 0
    assert {field: lead["values"].get(field) for field in values} == values


async def test_a_file_without_known_headers_is_mapped_by_hand(api: Client) -> None:
    tag = unique_tag()
    staged = await upload(api, f"Ada Low;a@{tag}.com;Acme\nBo Hi;b@{tag}.com;Beta\n".encode())
    columns = {"column 1": "full_name", "column 2": "email", "column 3": "company_name"}
    await set_mapping(api, staged, columns=columns, enrich=False)

    await api.post(f"/v1/imports/{staged['id']}/start")
    completed = await wait_for_end(api, staged)

    assert staged["warnings"][0].startswith("no row names the columns")
    assert [column["looksLike"] for column in staged["columns"]] == ["name", "email", None]
    assert completed["counts"]["created"] == 2
    assert (await find_lead(api, f"a@{tag}.com"))["values"]["company_name"] == "Acme"
