import csv
import io
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.app import Node
from leadflood.contracts.csv_safety import restore
from leadflood.domain.audit.schemas import AuditActor
from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.domain.lead_views.rules.export_columns import DEFAULT
from leadflood.domain.lead_views.schemas import ExportFormat, ExportOptions, LeadFilter
from leadflood.domain.lead_views.service import exports, snapshots
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.engine.db.pool import Database
from leadflood.engine.disk import DiskLevel

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
NAMES = ["=cmd|' /C calc'!A0", 'Zoë "Q" Abel', "'s-Hertog, Jan", "+49 Plus", "Li Bo"]


@pytest.fixture(scope="module")
async def domain(api: Client, icp_id: str) -> str:
    name = f"x{uuid4().hex[:10]}.example"
    for number, full_name in enumerate(NAMES):
        body = a_lead(icp_id, email=f"p{number}@{name}", fullName=full_name, sends="never")
        created = await api.post("/v1/leads", body)
        await scored(api, created.json["leadId"])
    return name


async def test_a_csv_holds_all_that_fit_and_no_formula(api: Client, domain: str) -> None:
    answer = await api.get(f"/v1/leads/export?companyDomain={domain}")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="leads-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert tuple(rows[0]) == DEFAULT
    assert [restore(row["fullName"]) for row in rows] == NAMES
    assert rows[0]["fullName"].startswith("'=")
    assert {row["companyDomain"] for row in rows} == {domain}


async def test_json_and_lines_hold_the_same_leads(api: Client, domain: str) -> None:
    path = f"/v1/leads/export?companyDomain={domain}"

    leads = await api.get(f"{path}&format=json")
    lines = await api.get(f"{path}&format=ndjson")

    assert leads.headers["Content-Type"] == "application/json"
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert [lead["fullName"] for lead in leads.json] == NAMES
    assert [msgspec.json.decode(line) for line in lines.body.splitlines()] == leads.json


@pytest.mark.parametrize(("form", "empty"), [("json", b"[\n]\n"), ("ndjson", b""), ("csv", None)])
async def test_an_export_of_no_leads_is_a_valid_file(
    api: Client, form: str, empty: bytes | None
) -> None:
    answer = await api.get(f"/v1/leads/export?companyDomain=nobody.example&format={form}")

    expected = ",".join(DEFAULT).encode() + b"\r\n" if empty is None else empty
    assert (answer.status, answer.body) == (200, expected)


async def test_a_byte_order_mark_tells_excel_the_encoding(api: Client, domain: str) -> None:
    answer = await api.get(f"/v1/leads/export?companyDomain={domain}&bom=true")

    assert answer.body.startswith(b"\xef\xbb\xbfid,")


async def test_a_file_of_many_pieces_is_whole(
    api: Client, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE", 2)

    leads = await api.get(f"/v1/leads/export?companyDomain={domain}&format=json")

    assert [lead["fullName"] for lead in leads.json] == NAMES


async def test_an_export_is_on_record_before_it_leaves(
    api: Client, domain: str, node_database: Database
) -> None:
    request_id = f"mine-{uuid4().hex}"

    await api.get(
        f"/v1/leads/export?companyDomain={domain}&q=bo", headers={"X-Request-ID": request_id}
    )

    row = await node_database.fetch_one(
        sql("SELECT action, detail, actor FROM audit_event WHERE request_id = $1", "id"),
        id=request_id,
    )
    assert row is not None
    detail: Any = msgspec.json.decode(row["detail"])
    assert (row["action"], row["actor"]) == ("lead.exported", "operator")
    assert detail == {
        "format": "csv",
        "filter": {"companyDomain": domain, "q": "bo"},
        "leadCount": 1,
    }


async def test_a_wrong_query_is_refused_before_anything_is_sent(api: Client) -> None:
    for query, where in (("format=xml", "format"), ("limit=5", "limit"), ("owner=me", "owner")):
        refused = await api.get(f"/v1/leads/export?{query}")

        assert refused.status == 422
        assert refused.problem["fields"][0]["path"] == where


async def test_exporting_needs_its_permission(api: Client) -> None:
    rep = await api.client_of("SALES_REP")

    refused = await rep.get("/v1/leads/export")

    assert refused.status == 403


async def test_a_client_that_disconnects_ends_the_reading(
    api: Client, domain: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE", 1)
    assert domain
    async with api.session.get(f"{api.address}/v1/leads/export", headers=api.auth) as response:
        await response.content.readany()
        response.close()

    with anyio.fail_after(10):
        while (await api.get("/v1/leads/export?companyDomain=nobody.example")).status != 200:
            await anyio.lowlevel.checkpoint()
        while await open_snapshots(node.storage.db):
            await anyio.lowlevel.checkpoint()


async def open_snapshots(database: Database) -> int:
    return int(
        await database.fetch_value(
            sql(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                " AND datname = current_database() AND query LIKE '%lead.sort_name%'"
            )
        )
    )


async def test_clients_that_do_not_read_hold_no_connection_and_keep_nobody_else_waiting(
    api: Client, domain: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PIECE_BYTES", 10)
    lead_filter, path = (
        LeadFilter(company_domain=domain),
        f"/v1/leads/export?companyDomain={domain}",
    )
    options = ExportOptions(format=ExportFormat.CSV, columns=DEFAULT)
    operator = AuditActor(principal=OPERATOR, address="", request_id="")
    other = await api.client_of("ADMIN")
    async with AsyncExitStack() as stack:
        for _ in range(exports.MOST_OPEN_OF_CALLER):
            pieces = node.services.exports.export(lead_filter, options, operator, {})
            await stack.enter_async_context(aclosing(pieces))
            await anext(pieces)

        assert not await open_snapshots(node.storage.db)
        one_more, others = await api.get(path), await other.get(path)
    again = await api.get(path)

    assert (one_more.status, others.status, again.status) == (429, 200, 200)
    assert one_more.problem["code"] == "leads.export.busy"


async def test_each_export_is_of_one_moment(domain: str, node_database: Database) -> None:
    lists = LeadLists(node_database)
    lead_filter = LeadFilter(company_domain=domain)
    async with lists.snapshot(lead_filter) as snapshot:
        count = await snapshot.count()
        await node_database.execute(
            sql("UPDATE lead SET deleted_at = created_at WHERE email = $1", "e"), e=f"p1@{domain}"
        )
        target = io.BytesIO()
        await snapshot.write(target, ExportOptions(format=ExportFormat.NDJSON, columns=DEFAULT))

    assert count == 5
    assert len(target.getvalue().splitlines()) == 5
    await node_database.execute(
        sql("UPDATE lead SET deleted_at = NULL WHERE email = $1", "e"), e=f"p1@{domain}"
    )


@pytest.fixture
def little_room(node: Node) -> Iterator[None]:
    disk = node.storage.disk
    disk.level, disk.free_bytes = DiskLevel.LOW, 5_000_000
    yield
    disk.level, disk.free_bytes = DiskLevel.ROOM, None


@pytest.mark.usefixtures("little_room")
async def test_with_little_room_nothing_new_is_begun_and_reads_go_on(
    api: Client, icp_id: str
) -> None:
    lead = await api.post("/v1/leads", a_lead(icp_id))
    export = await api.get("/v1/leads/export?format=csv")
    upload = await api.post(
        "/v1/imports?name=a.csv", b"email\na@b.de\n", headers={"content-type": "text/csv"}
    )
    page = await api.get("/v1/leads")

    answers = (lead, export, upload)
    assert [(answer.status, answer.problem["code"]) for answer in answers] == [
        (503, "engine.disk.low")
    ] * 3
    assert page.status == 200
