"""Files of leads over HTTP: upload, map, look ahead, start, watch, undo."""

import codecs
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import anyio
import pytest
from anyio import create_task_group
from leadflood.app import Node
from leadflood.domain.auth.schemas import Role
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.sql import Query

from tests.support.api import Answer, Client, running_api, running_node
from tests.support.db import TestServer, cloned_database

pytestmark = [pytest.mark.pg, pytest.mark.usefixtures("icp_id")]
CSV = {"Content-Type": "text/csv"}
ENDED = {"completed", "failed", "undone"}
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
    async with open_database(node_settings) as opened:
        yield opened


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
    made = await api.post("/v1/icps", {"name": "Ops", "target": {"titles": ["COO"]}})
    return str(made.json["id"])


async def hashes(database: Database) -> dict[str, str]:
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
    given = {**api.auth, **CSV, **headers}
    async with api.session.post(address, data=io.BytesIO(raw), headers=given) as response:
        return Answer(response.status, response.headers, await response.read())


async def upload(api: Client, raw: bytes, **headers: str) -> Any:
    answer = await send(api, raw, **headers)
    assert answer.status == 201, answer.body
    return answer.json


async def map_it(api: Client, given: Any, **mapping: Any) -> Any:
    answer = await api.ask("PUT", f"/v1/imports/{given['id']}/mapping", mapping)
    assert answer.status == 200, answer.body
    return answer.json


async def ended(api: Client, given: Any, *, undo_job_id: str | None = None) -> Any:
    with anyio.fail_after(20):
        while True:
            told = (await api.get(f"/v1/imports/{given['id']}")).json
            if told["state"] in ENDED and undo_job_id in {None, told["undoJobId"]}:
                return told
            await REAL_TIME.sleep(0.02)


async def imported(api: Client, raw: bytes, **mapping: Any) -> Any:
    given = await upload(api, raw)
    if mapping:
        await map_it(api, given, **mapping)
    begun = await api.post(f"/v1/imports/{given['id']}/start")
    assert begun.status == 202, begun.body
    return await ended(api, given)


async def undone(api: Client, given: Any) -> Any:
    answer = await api.post(f"/v1/imports/{given['id']}/undo")
    assert answer.status == 202, answer.body
    return await ended(api, given, undo_job_id=answer.json["jobId"])


async def test_an_upload_shows_how_the_file_was_understood(api: Client) -> None:
    told = await upload(api, a_file("shown"))

    assert (told["state"], told["encoding"], told["delimiter"]) == ("uploaded", "utf-8", ",")
    assert told["rowCount"] == 3
    assert [column["guess"] for column in told["columns"]] == [
        "first_name", "last_name", "email", "company_name", "company_domain", "title",
    ]  # fmt: skip
    assert told["columns"][2]["samples"] == [
        "ann0@shown0.example", "ann1@shown1.example", "ann2@shown2.example",
    ]  # fmt: skip


async def test_undo_leaves_no_trace(api: Client, node_database: Database) -> None:
    before = await hashes(node_database)

    done = await imported(api, a_file("trace", 700), enrich=False, tags=["Fair"])
    there = (await api.get("/v1/leads?tag=fair&limit=1")).json
    gone = await undone(api, done)

    assert done["counts"]["created"] == 700
    assert there["data"]
    assert gone["counts"] == {**done["counts"], "undone": 700, "kept": 0}
    assert await hashes(node_database) == before


def rows(*lines: str) -> bytes:
    return "\n".join(("email,linkedin url,name,company,website,title,city", *lines)).encode()


def fresh() -> str:
    return f"x{uuid4().hex[:10]}"


async def lead_of(api: Client, address: str) -> Any:
    found = (await api.get(f"/v1/leads?email={address}")).json["data"]
    return (await api.get(f"/v1/leads/{found[0]['id']}")).json if found else None


async def rows_of(api: Client, given: Any, state: str = "") -> list[Any]:
    asked = f"?state={state}" if state else ""
    told = (await api.get(f"/v1/imports/{given['id']}/rows{asked}")).json["data"]
    assert isinstance(told, list)
    return told


@pytest.fixture
async def own_leads_only(api: Client) -> AsyncIterator[None]:
    """SALES_REPs see their own leads, for this test."""
    assert (await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})).status == 200
    try:
        yield
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})


async def test_a_lead_that_was_there_loses_exactly_what_the_file_said(
    api: Client, icp_id: str, node_database: Database
) -> None:
    tag = fresh()
    address = f"a@{tag}.example"
    old = {
        "email": address, "fullName": "Ann Lee", "title": "CTO", "icpId": icp_id,
        "providers": [],
    }  # fmt: skip
    made = (await api.post("/v1/leads", old)).json
    with anyio.fail_after(20):
        while (await api.get(f"/v1/leads/{made['leadId']}")).json["score"] is None:
            await REAL_TIME.sleep(0.02)
    before = await hashes(node_database)
    shown = await lead_of(api, address)

    line = f"a@{tag}.example,linkedin.com/in/{tag},Ann B. Lee,Other,https://other{tag}.example,CEO,Rome"
    done = await imported(api, rows(line), enrich=False, tags=["new", "old"])
    between = await lead_of(api, address)
    gone = await undone(api, done)

    after = await lead_of(api, address)
    assert done["counts"]["updated"] == 1
    assert between["values"]["title"] == "CEO"
    assert between["values"]["company_domain"] == f"other{tag}.example"
    assert between["version"] > shown["version"]
    assert (gone["state"], gone["counts"]["undone"]) == ("undone", 1)
    assert await hashes(node_database) == before
    assert {**after, "version": 0, "updatedAt": ""} == {**shown, "version": 0, "updatedAt": ""}
    assert after["version"] > between["version"]


async def test_leads_that_a_row_made_one_are_two_again(
    api: Client, node_database: Database
) -> None:
    tag = fresh()
    await imported(api, rows(f"a@{tag}.example,,,,,,"), enrich=False)
    await imported(api, rows(f",linkedin.com/in/{tag},,,,,"), enrich=False)
    before = await hashes(node_database)

    done = await imported(
        api, rows(f"a@{tag}.example,linkedin.com/in/{tag},,,,,Oslo"), enrich=False
    )
    merged = await lead_of(api, f"a@{tag}.example")
    await undone(api, done)

    assert len(merged["merged"]) == 1
    assert await hashes(node_database) == before


async def test_what_somebody_has_changed_since_is_kept_and_told(api: Client) -> None:
    tag = fresh()
    done = await imported(api, a_file(tag, 3), enrich=False)
    edited = await lead_of(api, f"ann1@{tag}1.example")
    changed = await api.ask("PATCH", f"/v1/leads/{edited['id']}", {"title": "Owner"})
    assert changed.status == 200

    gone = await undone(api, done)

    [kept] = await rows_of(api, gone, "kept")
    assert gone["counts"]["kept"] == 1
    assert (kept["leadId"], kept["reason"]) == (edited["id"], "somebody has changed it")
    assert await lead_of(api, f"ann0@{tag}0.example") is None
    assert (await lead_of(api, f"ann1@{tag}1.example"))["values"]["first_name"] == "Ann1"


async def test_a_lead_whose_agreement_is_on_record_is_kept(api: Client) -> None:
    tag = fresh()
    done = await imported(api, a_file(tag, 2), enrich=False)
    agreed = await lead_of(api, f"ann1@{tag}1.example")
    evidence = {"wording": "Write to me", "source": "a fair"}
    put = await api.ask("PUT", f"/v1/leads/{agreed['id']}/opt-ins/email", evidence)
    assert put.status == 200

    gone = await undone(api, done)

    [kept] = await rows_of(api, gone, "kept")
    reason = "its agreement to be written to is on record"
    assert (kept["leadId"], kept["reason"]) == (agreed["id"], reason)


async def test_two_files_that_name_one_person_are_undone_in_any_order(
    api: Client, node_database: Database
) -> None:
    tag = fresh()
    before = await hashes(node_database)
    one = await imported(api, rows(f"a@{tag}.example,,Ann Lee,,,CTO,"), enrich=False)
    other = await imported(api, rows(f"a@{tag}.example,,Ann Lee,,,CEO,Rome"), enrich=False)

    kept = await undone(api, one)
    [row] = await rows_of(api, kept, "kept")
    await undone(api, other)
    again = await undone(api, kept)

    assert row["reason"] == "another import names it too"
    assert again["counts"]["kept"] == 0
    assert await hashes(node_database) == before


async def test_an_import_may_be_undone_while_it_runs(api: Client, node_database: Database) -> None:
    given = await upload(api, a_file(fresh(), 1_200))
    await map_it(api, given, providers=[])
    assert (await api.post(f"/v1/imports/{given['id']}/start")).status == 202

    answer = await api.post(f"/v1/imports/{given['id']}/undo")
    gone = await ended(api, given, undo_job_id=answer.json["jobId"])

    left = Query(
        "left",
        "SELECT count(*) FROM lead WHERE id IN"
        " (SELECT lead_id FROM import_row WHERE run_id = $1::uuid)",
        ("id",),
    )
    assert answer.status == 202
    assert gone["state"] == "undone"
    assert await node_database.fetch_value(left, id=given["id"]) == 0


async def test_a_file_started_many_times_at_once_is_imported_once(
    api: Client, node_database: Database
) -> None:
    given = await upload(api, a_file(fresh(), 30))
    await map_it(api, given, providers=[])
    answers: list[Any] = []

    async def start() -> None:
        answers.append(await api.post(f"/v1/imports/{given['id']}/start"))

    async with create_task_group() as group:
        for _ in range(8):
            group.start_soon(start)
    done = await ended(api, given)

    assert {answer.status for answer in answers} == {202}
    assert len({(one.json["runId"], one.json["jobId"]) for one in answers}) == 1
    assert done["counts"]["created"] == 30
    acts = await node_database.fetch(ACTS, id=given["id"])
    assert [row["action"] for row in acts] == ["import.started"]


async def test_leads_of_a_file_are_enriched_and_scored_in_its_run(api: Client, icp_id: str) -> None:
    tag = fresh()

    done = await imported(api, a_file(tag, 2), icpId=icp_id, providers=[], sends="never")

    with anyio.fail_after(20):
        while (lead := await lead_of(api, f"ann0@{tag}0.example"))["score"] is None:
            await REAL_TIME.sleep(0.02)
    assert lead["score"]["runId"] == done["runId"] == done["id"]


async def test_the_drafts_of_leads_that_are_undone_are_out_of_sight(api: Client) -> None:
    icp = {"name": "All", "bands": {"high": 2, "medium": 1}, "target": {"titles": ["COO"]}}
    icp_id = (await api.post("/v1/icps", icp)).json["id"]
    done = await imported(api, a_file(fresh(), 2), icpId=icp_id, providers=[])
    path = f"/v1/messages?runId={done['id']}"
    with anyio.fail_after(20):
        while len((await api.get(path)).json["data"]) < 2:
            await REAL_TIME.sleep(0.02)

    gone = await undone(api, done)

    assert gone["counts"]["undone"] == 2
    assert (await api.get(path)).json["data"] == []
    assert (await api.get(f"/v1/leads?runId={done['id']}")).json["data"] == []


async def test_the_same_bytes_wait_once_and_are_known_again(api: Client) -> None:
    raw = a_file(fresh(), 2)
    first, second = await upload(api, raw), await upload(api, raw)
    await map_it(api, first, enrich=False)
    await api.post(f"/v1/imports/{first['id']}/start")
    await ended(api, first)

    third = await upload(api, raw)
    done = await imported(api, raw, enrich=False)

    assert second["id"] == first["id"]
    assert third["id"] != first["id"]
    assert [one["id"] for one in third["sameAs"]] == [first["id"]]
    assert (done["counts"]["created"], done["counts"]["updated"]) == (0, 2)


async def test_an_upload_with_a_key_is_kept_once(api: Client) -> None:
    key = {"Idempotency-Key": fresh()}
    raw = a_file(fresh())

    one, same = await upload(api, raw, **key), await upload(api, raw, **key)
    other = await api.post("/v1/imports", raw=a_file(fresh()), headers={**CSV, **key})

    assert one == same
    assert other.status == 422
    assert other.problem["code"] == "http.idempotency.reused"


async def test_a_form_may_bring_the_file(api: Client) -> None:
    part = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="my leads.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n" + a_file(fresh()) + b"\r\n"
    )
    form = {"Content-Type": "multipart/form-data; boundary=b"}

    told = await api.post("/v1/imports", raw=part + b"--b--\r\n", headers=form)
    twice = await api.post("/v1/imports", raw=part * 2 + b"--b--\r\n", headers=form)
    cut = await api.post("/v1/imports", raw=part[:-40], headers=form)

    assert (told.status, told.json["name"], told.json["rowCount"]) == (201, "my leads.csv", 3)
    assert (twice.status, twice.problem["code"]) == (422, "http.upload.parts")
    assert (cut.status, cut.problem["code"]) == (400, "http.upload.malformed")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "leads.csv.empty"),
        (b"email,name\n", "leads.csv.empty"),
        (b"PK\x03\x04" + b"\0" * 500, "leads.csv.workbook"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 500, "leads.csv.workbook"),
        (b"%PDF-1.7\n", "leads.csv.foreign"),
        (b"\x1f\x8b\x08" + b"\0" * 100, "leads.csv.foreign"),
        (b"one,two\n1,2\n", "leads.csv.no_header"),
        (b"email" + b",email" * 100_000 + b"\na@b.example\n", "leads.csv.too_wide"),
        (b"x" * 2_000_000, "leads.csv.no_header"),
        (b"email,a\n" + b'a"b,"c\n' * 400_000, "leads.csv.broken"),
    ],
)
async def test_what_is_no_file_of_leads_is_refused_with_what_to_do(
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
async def test_odd_bytes_are_read_as_far_as_they_can_be(
    api: Client, body: bytes, rows_read: int, bad: int
) -> None:
    told = await upload(api, body)

    assert (told["rowCount"], told["counts"]["bad"]) == (rows_read, bad)


async def test_a_file_of_mixed_encodings_says_so(api: Client) -> None:
    raw = "email,name\nz@b.example,Łódź Żółć\n".encode() + b"j@b.example,J\xf6rg\n"

    told = await upload(api, raw)

    assert told["encoding"] == "utf-8"
    assert told["warnings"][0].startswith("1 places are no UTF-8")
    assert told["columns"][1]["samples"] == ["Łódź Żółć", "Jörg"]


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


async def test_a_mapping_that_does_not_fit_is_told_field_by_field(api: Client) -> None:
    given = await upload(api, a_file(fresh()))
    path = f"/v1/imports/{given['id']}/mapping"

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
    assert {one["path"] for one in wrong.problem["fields"]} == {
        "columns.Nope", "columns", "defaults.country", "tags[0]",
    }  # fmt: skip


async def test_a_mapping_is_changed_from_the_version_that_was_seen(api: Client) -> None:
    given = await upload(api, a_file(fresh()))
    path = f"/v1/imports/{given['id']}"
    seen = (await api.get(path)).headers["ETag"]

    first = await api.ask("PUT", f"{path}/mapping", {}, headers={"If-Match": seen})
    second = await api.ask("PUT", f"{path}/mapping", {}, headers={"If-Match": seen})

    assert (first.status, second.status) == (200, 412)
    assert first.headers["ETag"] != seen


async def test_a_preview_tells_what_would_come_and_writes_nothing(
    api: Client, node_database: Database
) -> None:
    tag = fresh()
    await imported(api, rows(f"known@{tag}.example,,,,,,"), enrich=False)
    raw = rows(
        f"known@{tag}.example,,Ann,,,,",
        f"new@{tag}.example,,Bob,,,CEO,",
        f"new@{tag}.example,,,,,,",
        "no address,,,,,,", ",,Nobody,,,,",
    )  # fmt: skip
    given = await upload(api, raw)
    before = await hashes(node_database)

    told = (await api.post(f"/v1/imports/{given['id']}/preview")).json

    assert told["counts"] == {"new": 1, "alreadyKnown": 1, "duplicateInFile": 1, "bad": 2}
    assert [row["number"] for row in told["badRows"]] == [5, 6]
    assert told["badRows"][0]["reason"] == "'no address' is no e-mail address"
    assert [row["outcome"] for row in told["sample"]] == ["updated", "created", "duplicate"]
    assert told["sample"][1]["values"]["title"] == "CEO"
    assert await hashes(node_database) == before
    done = await imported(api, raw, enrich=False)
    counts = {name: done["counts"][name] for name in ("created", "updated", "duplicate", "bad")}
    assert counts == {"created": 1, "updated": 1, "duplicate": 1, "bad": 2}


async def test_known_leads_are_left_alone_where_that_is_wanted(api: Client) -> None:
    tag = fresh()
    await imported(api, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)

    done = await imported(
        api,
        rows(
            f"a@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,,Rome"
        ),
        enrich=False, onDuplicate="skip",
    )  # fmt: skip

    told = {row["number"]: row["state"] for row in await rows_of(api, done)}
    assert told == {2: "skipped", 3: "created", 4: "duplicate"}
    assert (await lead_of(api, f"a@{tag}.example"))["values"]["title"] == "CTO"


async def test_columns_and_defaults_are_read_as_the_mapping_says(api: Client) -> None:
    tag = fresh()

    await imported(
        api,
        f"email,email,who\nx,a@{tag}.example,Ann Lee\n".encode(),
        columns={"email": None, "email (2, column 2)": "email", "who": "full_name"},
        defaults={"country": "Norway", "title": "Friend"},
        enrich=False,
    )

    values = (await lead_of(api, f"a@{tag}.example"))["values"]
    assert (values["full_name"], values["country"], values["title"]) == ("Ann Lee", "NO", "Friend")


async def test_bad_rows_are_downloaded_with_their_reasons_and_harmless(api: Client) -> None:
    done = await imported(api, b'email,name\n"=cmd|calc",+1\n', enrich=False)

    answer = await api.get(f"/v1/imports/{done['id']}/bad-rows.csv")

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.body.decode().splitlines() == [
        "line,reason,email,name",
        "2,''=cmd|calc' is no e-mail address,'=cmd|calc,'+1",
    ]


async def test_rows_are_read_page_by_page(api: Client) -> None:
    done = await imported(api, a_file(fresh(), 7), enrich=False)
    path = f"/v1/imports/{done['id']}/rows?limit=3"

    numbers: list[int] = []
    more = ""
    while True:
        told = (await api.get(path + more)).json
        numbers += [row["number"] for row in told["data"]]
        if told["pagination"]["nextCursor"] is None:
            break
        more = f"&cursor={told['pagination']['nextCursor']}"

    assert numbers == list(range(2, 9))


async def test_imports_are_listed_newest_first(api: Client) -> None:
    one, other = await upload(api, a_file(fresh())), await upload(api, a_file(fresh()))

    told = (await api.get("/v1/imports?state=uploaded&limit=2")).json["data"]

    assert [entry["id"] for entry in told] == [other["id"], one["id"]]


async def test_who_may_not_import_is_told_so(api: Client) -> None:
    viewer = await api.client_of(Role.VIEWER)

    answer = await viewer.post("/v1/imports", raw=a_file(fresh()), headers=CSV)

    assert answer.status == 403


@pytest.mark.usefixtures("own_leads_only")
async def test_a_rep_sees_and_changes_only_what_is_his(api: Client) -> None:
    tag = fresh()
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    done = await imported(ann, rows(f"a@{tag}.example,,,,,CTO,"), enrich=False)

    seen = await bob.get(f"/v1/imports/{done['id']}")
    theirs = await imported(
        bob, rows(f"a@{tag}.example,,,,,CEO,", f"b@{tag}.example,,,,,,"), enrich=False
    )

    [bad] = await rows_of(bob, theirs, "bad")
    lead = await lead_of(api, f"a@{tag}.example")
    assert lead["owner"] == ann.user_id
    assert lead["values"]["title"] == "CTO"
    assert seen.status == 404
    assert (bad["reason"], bad["leadId"]) == ("this person is a lead of somebody else", None)
    assert [one["id"] for one in (await bob.get("/v1/imports")).json["data"]] == [theirs["id"]]


@pytest.mark.usefixtures("own_leads_only")
async def test_two_reps_who_bring_the_same_file_at_once_share_nobody(api: Client) -> None:
    raw = a_file(fresh(), 400)
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    ends: list[Any] = []

    async def bring(client: Client) -> None:
        ends.append(await imported(client, raw, enrich=False))

    async with create_task_group() as group:
        group.start_soon(bring, ann)
        group.start_soon(bring, bob)

    counts = [one["counts"] for one in ends]
    assert sum(one["created"] for one in counts) == 400
    assert sum(one["bad"] for one in counts) == 400
    assert {one["updated"] for one in counts} == {0}


async def test_two_people_who_bring_the_same_file_at_once_make_each_lead_once(api: Client) -> None:
    raw = a_file(fresh(), 400)
    ann, bob = await api.client_of(Role.MANAGER), await api.client_of(Role.MANAGER)
    ends: list[Any] = []

    async def bring(client: Client) -> None:
        ends.append(await imported(client, raw, enrich=False))

    async with create_task_group() as group:
        group.start_soon(bring, ann)
        group.start_soon(bring, bob)

    assert len({one["id"] for one in ends}) == 2
    assert sum(one["counts"]["created"] for one in ends) == 400
    assert sum(one["counts"]["updated"] for one in ends) == 400


async def test_who_may_not_delete_leads_undoes_his_own_imports_only(api: Client) -> None:
    manager, rep = await api.client_of(Role.MANAGER), await api.client_of(Role.SALES_REP)
    theirs = await imported(manager, a_file(fresh()), enrich=False)
    own = await imported(rep, a_file(fresh()), enrich=False)

    refused = await rep.post(f"/v1/imports/{theirs['id']}/undo")
    gone = await undone(rep, own)

    assert (refused.status, refused.problem["code"]) == (403, "http.denied")
    assert (await api.get(f"/v1/imports/{theirs['id']}")).json["state"] == "completed"
    assert gone["state"] == "undone"
