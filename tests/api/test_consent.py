"""Consent in files, from the upload to the suppression list."""

import csv
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.suppressions.service import suppressions
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database

from tests.support.api import Answer, Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
K01 = Path(__file__).parents[1] / "domain/imports/data/messy_leads/k01_optout_salesforce.csv"
AGREEMENTS = sql("SELECT withdrawn_reason FROM opt_in WHERE lead_id = $1::uuid", "lead_id")
RUNS_AGAIN = sql("UPDATE import SET state = 'running' WHERE run_id = $1::uuid", "id")
STORED_ONLY = {"enrich": False}


async def upload(api: Client, raw: bytes) -> Any:
    headers = {**api.auth, "Content-Type": "text/csv"}
    address = f"{api.address}/v1/imports?name=list.csv"
    async with api.session.post(address, data=io.BytesIO(raw), headers=headers) as response:
        assert response.status == 201, await response.read()
        return await response.json()


async def start(api: Client, staged: Any, **mapping: Any) -> Answer:
    path = f"/v1/imports/{staged['id']}"
    put = await api.ask("PUT", f"{path}/mapping", {**STORED_ONLY, **mapping})
    assert put.status == 200, put.body
    return await api.post(f"{path}/start")


async def wait_until(api: Client, staged: Any, state: str) -> Any:
    with anyio.fail_after(20):
        while True:
            view = (await api.get(f"/v1/imports/{staged['id']}")).json
            if view["state"] == state:
                return view
            await REAL_TIME.sleep(0.02)


async def import_file(api: Client, raw: bytes, **mapping: Any) -> Any:
    staged = await upload(api, raw)
    started = await start(api, staged, **mapping)
    assert started.status == 202, started.body
    return await wait_until(api, staged, "completed")


async def find_line(api: Client, address: str) -> Any:
    value = address.replace("+", "%2B")
    lines = (await api.get(f"/v1/suppressions?kind=address&value={value}")).json["data"]
    return lines[0] if lines else None


def a_tag() -> str:
    return f"c{uuid4().hex[:10]}"


async def test_the_marked_ones_of_an_export_are_suppressed_whatever_becomes_of_the_import(
    api: Client,
) -> None:
    tag = a_tag()
    raw = K01.read_bytes().replace(b"-t0", f"-{tag}".encode())
    staged = await upload(api, raw)
    preview = (await api.post(f"/v1/imports/{staged['id']}/preview")).json

    assert (await start(api, staged)).status == 202
    completed = await wait_until(api, staged, "completed")
    undo = await api.post(f"/v1/imports/{staged['id']}/undo")
    await wait_until(api, staged, "undone")

    ola, pia, uno = [
        await find_line(api, address)
        for address in (f"ola@k1a-{tag}.com", f"pia@k1b-{tag}.com", f"uno@k1c-{tag}.com")
    ]
    assert "2 rows said no: whom they name stays suppressed" in undo.json["stays"]
    assert (preview["counts"]["optedOut"], completed["counts"]["optedOut"]) == (2, 2)
    assert [row["consent"] for row in preview["sample"]] == [
        ["Email Opt Out: '1'"],
        [],
        ["Lead Status: 'Unsubscribed'"],
    ]
    assert (ola["reason"], pia) == ("Email Opt Out: '1'", None)
    assert ola["source"] == f"import {staged['id']}, line 2 of list.csv"
    assert uno["source"] == f"import {staged['id']}, line 4 of list.csv"
    assert (await api.ask("DELETE", f"/v1/suppressions/{ola['id']}")).status == 200
    assert await find_line(api, f"ola@k1a-{tag}.com") is None


async def test_a_column_that_speaks_of_consent_holds_the_start_until_it_is_read(
    api: Client,
) -> None:
    tag = a_tag()
    staged = await upload(api, f"email,GDPR\nann@{tag}.example,yes\n".encode())
    refused = await start(api, staged)
    mapped = await start(api, staged, columns={"email": "email", "GDPR": "opt_out"})
    await wait_until(api, staged, "completed")

    assert staged["unreadConsentColumns"] == ["GDPR"]
    assert "column 'GDPR' speaks of consent and is not read" in staged["warnings"][-1]
    assert (refused.status, refused.json["code"]) == (422, "leads.import.consent_unread")
    assert [field["path"] for field in refused.json["fields"]] == ["columns.GDPR"]
    assert mapped.status == 202
    assert await find_line(api, f"ann@{tag}.example") is not None


async def test_a_column_is_waved_through_by_its_name(api: Client) -> None:
    tag = a_tag()
    staged = await upload(api, f"email,Notes\nann@{tag}.example,do not contact him\n".encode())
    left_out = await start(api, staged)
    preview = (await api.post(f"/v1/imports/{staged['id']}/preview")).json
    waved = await start(api, staged, ignoreConsentColumns=["Notes"])
    view = await wait_until(api, staged, "completed")

    assert left_out.json["code"] == "leads.import.consent_unread"
    assert "column 'Notes' speaks of consent" in preview["warnings"][-1]
    assert waved.status == 202
    assert (view["unreadConsentColumns"], view["counts"]["optedOut"]) == ([], 0)


async def test_a_section_that_says_no_holds_the_start_until_it_is_waved_through(
    api: Client,
) -> None:
    tag = a_tag()
    raw = (
        f"Name,Company,Email\nAda Low,A,ada@{tag}.example\nDO NOT CONTACT:,,\nB,B,b@{tag}.example\n"
    )
    staged = await upload(api, raw.encode())
    refused = await start(api, staged)
    waved = await start(api, staged, ignoreConsentColumns=["Name"])
    view = await wait_until(api, staged, "completed")

    assert staged["unreadConsentColumns"] == ["Name"]
    assert any("line 3: DO NOT CONTACT:" in warning for warning in staged["warnings"])
    assert (refused.json["code"], waved.status) == ("leads.import.consent_unread", 202)
    assert view["counts"]["optedOut"] == 0


async def test_a_no_without_an_address_stops_the_namesake_at_the_company(api: Client) -> None:
    tag = a_tag()
    name = f"Zelma {tag.title()}"
    raw = f"Name,Company,Email,Opt out\n{name},Zorb,z@{tag}.example,\n{name},Zorb,,yes\n"

    staged = await upload(api, raw.encode())
    await start(api, staged)
    await wait_until(api, staged, "completed")

    rows = (await api.get(f"/v1/imports/{staged['id']}/rows")).json["data"]
    lines = (await api.get("/v1/suppressions?kind=lead&limit=100")).json["data"]
    stopped = {line["hint"]: line["reason"] for line in lines}
    assert "of the same name and company" in stopped[rows[0]["leadId"]]
    assert stopped[rows[1]["leadId"]] == "Opt out: 'yes'"


async def test_a_preview_warns_where_most_rows_say_no(api: Client) -> None:
    tag = a_tag()
    rows = "".join(f"p{n}@{tag}.example,No\n" for n in range(12))
    staged = await upload(api, f"email,Newsletter\n{rows}".encode())

    preview = (await api.post(f"/v1/imports/{staged['id']}/preview")).json

    assert preview["counts"]["optedOut"] == 12
    assert "12 of 12 rows say no" in preview["warnings"][-1]


@pytest.mark.parametrize(("choice", "count"), [(None, 0), ("not_asked", 0), ("refused", 2)])
async def test_an_unticked_opt_in_suppresses_nobody_unless_it_is_said_to_refuse(
    api: Client, choice: str | None, count: int
) -> None:
    tag = a_tag()
    raw = f"email,Opt in\nann@{tag}.example,0\nbob@{tag}.example,0\n".encode()
    staged = await upload(api, raw)
    await start(api, staged, noOptIn=choice)
    view = await wait_until(api, staged, "completed")

    assert "'0' are taken as nobody asked" in staged["warnings"][-1]
    assert view["counts"]["optedOut"] == count
    assert (await find_line(api, f"ann@{tag}.example") is None) is (count == 0)


async def test_what_was_understood_and_is_mapped_away_holds_the_start(api: Client) -> None:
    tag = a_tag()
    raw = f"email,Status,Email Opt Out\na@{tag}.example,Unsubscribed,0\n".encode()
    staged = await upload(api, raw)

    refused = await start(api, staged, columns={"email": "email", "Email Opt Out": "opt_in"})

    assert sorted(field["path"] for field in refused.json["fields"]) == [
        "columns.Email Opt Out",
        "columns.Status",
    ]
    unknown = await api.ask(
        "PUT", f"/v1/imports/{staged['id']}/mapping", {"ignoreConsentColumns": ["Nobody"]}
    )
    assert unknown.status == 422


async def test_a_no_counts_for_a_bad_row_and_for_a_hidden_lead(api: Client) -> None:
    tag = a_tag()
    assert (await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})).status == 200
    try:
        ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
        await import_file(ann, f"email,name\nher@{tag}.example,Her\n".encode())
        lines = (
            "email,company,Do Not Contact",
            f"her@{tag}.example,Acme,yes",
            f"two@{tag}.example,Acme, Inc,yes",
            f'"open@{tag}.example,Acme,unsubscribed',
            f"good@{tag}.example,Acme,no",
        )
        view = await import_file(bob, "\n".join(lines).encode())
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    marked = [await find_line(api, f"{name}@{tag}.example") for name in ("her", "two", "open")]
    assert all(marked)
    assert view["counts"]["optedOut"] == 3
    assert await find_line(api, f"good@{tag}.example") is None


async def test_an_undo_takes_an_agreement_of_its_file_back_and_deletes_the_lead(
    api: Client, node_database: Database
) -> None:
    tag = a_tag()
    raw = f"email,Newsletter\nann@{tag}.example,ja\n".encode()
    staged = await import_file(api, raw)
    lead_id = (await api.get(f"/v1/leads?email=ann@{tag}.example")).json["data"][0]["id"]
    opt_ins = (await api.get(f"/v1/leads/{lead_id}")).json["optIns"]

    await api.post(f"/v1/imports/{staged['id']}/undo")
    view = await wait_until(api, staged, "undone")

    assert opt_ins[0]["wording"] == "Newsletter: 'ja'"
    assert (view["counts"]["undone"], view["counts"]["kept"]) == (1, 0)
    [agreement] = await node_database.fetch(AGREEMENTS, lead_id=lead_id)
    assert agreement["withdrawn_reason"] == "its import was undone"


async def lift(api: Client, staged: Any, **body: Any) -> Answer:
    path = f"/v1/imports/{staged['id']}/suppressions/lift"
    return await api.post(path, {"reason": "the column was another", **body})


def wrong_file(tag: str, *names: str) -> bytes:
    rows = "".join(f"{name}@{tag}.example,yes\n" for name in names)
    return f"email,Opt out\n{rows}".encode()


async def test_what_a_file_alone_said_is_lifted_and_what_others_say_too_stays(api: Client) -> None:
    tag = a_tag()
    wrong = await import_file(api, wrong_file(tag, "ann", "bob", "cid"))
    await api.post(
        "/v1/suppressions", {"kind": "address", "value": f"bob@{tag}.example", "reason": "asked"}
    )
    other = await import_file(api, wrong_file(tag, "cid"))

    lifted = await lift(api, wrong)

    assert lifted.json == {"lifted": 3, "kept": 3, "isComplete": True, "restoredSendCount": 0}
    assert await find_line(api, f"ann@{tag}.example") is None
    assert await find_line(api, f"bob@{tag}.example") is not None
    assert await find_line(api, f"cid@{tag}.example") is not None
    assert (await lift(api, wrong)).json["lifted"] == 0
    assert (await lift(api, other)).json["lifted"] == 2
    assert await find_line(api, f"cid@{tag}.example") is None
    path = f"/v1/audit?action=suppression.lifted_import&subjectId={wrong['id']}"
    record = (await api.get(path)).json["data"][-1]
    assert record["detail"]["reason"] == "the column was another"


async def test_a_line_that_a_file_repeats_is_somebody_elses_still(api: Client) -> None:
    tag = a_tag()
    await api.post(
        "/v1/suppressions", {"kind": "address", "value": f"ann@{tag}.example", "reason": "asked"}
    )
    wrong = await import_file(api, wrong_file(tag, "ann"))

    await lift(api, wrong)

    assert (await find_line(api, f"ann@{tag}.example"))["reason"] == "asked"


async def test_so_many_lines_are_lifted_at_once(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = a_tag()
    wrong = await import_file(api, wrong_file(tag, "ann", "bob", "cid"))
    monkeypatch.setattr(suppressions, "MOST_LIFTED", 4)

    answers = [(await lift(api, wrong)).json for _ in range(2)]

    assert [(each["lifted"], each["isComplete"]) for each in answers] == [(4, False), (2, True)]


async def test_what_a_running_import_says_is_not_lifted(
    api: Client, node_database: Database
) -> None:
    wrong = await import_file(api, wrong_file(a_tag(), "ann"))
    await node_database.execute(RUNS_AGAIN, id=wrong["id"])

    refused = await lift(api, wrong)

    assert (refused.status, refused.json["code"]) == (409, "leads.import.running")


async def test_a_reason_is_needed_and_the_permission(api: Client) -> None:
    wrong = await import_file(api, wrong_file(a_tag(), "ann"))
    manager = await api.client_of("MANAGER")

    assert (await lift(api, wrong, reason=" ")).status == 422
    assert (await lift(manager, wrong)).status == 403


async def add_many(api: Client, *values: str, **body: Any) -> Answer:
    items = [{"value": value} for value in values]
    return await api.post("/v1/suppressions/bulk", {"reason": "asked", "items": items, **body})


async def test_many_are_suppressed_at_once_each_with_its_answer(api: Client) -> None:
    tag = a_tag()
    first = await add_many(api, f"ann@{tag}.example", f"{tag}.example", "+31620009999", "nonsense")
    again = await add_many(api, f"ANN+x@{tag}.example", f"bob@{tag}.example")

    assert first.status == 200, first.body
    assert [item["outcome"] for item in first.json["items"]] == ["added"] * 3 + ["refused"]
    assert (first.json["added"], first.json["known"], first.json["refused"]) == (3, 0, 1)
    assert "number such as" in first.json["items"][3]["problem"]
    assert [item["outcome"] for item in again.json["items"]] == ["known", "added"]
    assert again.json["items"][0]["id"] == first.json["items"][0]["id"]
    assert (await find_line(api, f"ann@{tag}.example"))["reason"] == "asked"


async def test_what_is_broad_is_confirmed_item_by_item_and_by_an_administrator(
    api: Client,
) -> None:
    manager = await api.client_of(Role.MANAGER)
    items = [
        {"kind": "domain", "value": "gmail.com"},
        {"kind": "domain", "value": "gmail.com", "expectedCount": 10**6},
        {"kind": "channel", "value": "sms", "expectedCount": 10**6},
    ]

    denied = await add_many(manager, items=items)
    added = await add_many(api, items=items)

    assert [item["outcome"] for item in denied.json["items"]] == ["refused"] * 3
    assert "admin:write" in denied.json["items"][0]["problem"]
    assert [item["outcome"] for item in added.json["items"]] == ["refused", "added", "added"]
    assert "confirm it with expectedCount" in added.json["items"][0]["problem"]
    for item in added.json["items"][1:]:
        assert (await api.ask("DELETE", f"/v1/suppressions/{item['id']}")).status == 200


async def test_who_sees_only_their_own_leads_stops_no_domain_and_no_foreign_lead(
    api: Client,
) -> None:
    tag = a_tag()
    assert (await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})).status == 200
    try:
        ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
        await import_file(ann, f"email\nher@{tag}.example\n".encode())
        lead_id = (await ann.get("/v1/leads")).json["data"][0]["id"]
        items = [
            {"value": f"{tag}.example"},
            {"kind": "lead", "value": lead_id},
            {"value": f"his@{tag}.example"},
        ]
        foreign = await add_many(bob, items=items)
        own = await add_many(ann, items=items[1:2])
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert [item["outcome"] for item in foreign.json["items"]] == ["refused", "refused", "added"]
    assert own.json["added"] == 1


async def test_ten_thousand_are_one_call_and_more_are_refused(api: Client) -> None:
    tag = a_tag()

    full = await add_many(api, *(f"p{n}@{tag}.example" for n in range(10_000)))
    over = await add_many(api, *(f"p{n}@{tag}.example" for n in range(10_001)))

    assert (full.status, full.json["added"]) == (200, 10_000)
    assert over.status == 422


async def test_the_list_is_exported_with_the_values_that_leads_have(api: Client) -> None:
    tag = a_tag()
    await import_file(api, f"email\nann@{tag}.example\n".encode())
    await add_many(api, f"ann@{tag}.example", f"bob@{tag}.example", f"{tag}.example")

    exported = await api.get("/v1/suppressions/export")

    rows = list(csv.DictReader(io.StringIO(exported.body.decode())))
    mine = rows[:3]
    assert {row["value"] for row in mine} == {f"ann@{tag}.example", "", f"{tag}.example"}
    assert all(len(row["hash"]) == 64 and len(row["key"]) == 16 for row in mine)
    rep = await api.client_of(Role.SALES_REP)
    assert (await rep.get("/v1/suppressions/export")).status == 403


async def test_no_text_breaks_a_batch(api: Client) -> None:
    odd = [
        "@",
        "+",
        "x" * 500,
        "..",
        "a@b@c",
        "\u202e@b",
        "1234567890123456789012345678901234567890",
    ]

    answer = await add_many(api, *odd, f"ann@{a_tag()}.example")

    assert answer.status == 200, answer.body
    assert answer.json["items"][-1]["outcome"] == "added"


async def add_icp(api: Client) -> None:
    icp = {"name": "Ops", "target": {"titles": ["COO"]}}
    assert (await api.post("/v1/icps", icp)).status == 201


async def test_who_said_no_when_a_lead_is_created_is_suppressed(api: Client) -> None:
    await add_icp(api)
    tag = a_tag()
    body = {"email": f"ann@{tag}.example", "phone": "+4930123456", "optOut": ["email"]}

    created = await api.post("/v1/leads", {**body, "sends": "never", "providers": []})

    line = await find_line(api, f"ann@{tag}.example")
    leads = (await api.get("/v1/suppressions?kind=lead")).json["data"]
    assert created.status == 201, created.body
    assert (line["reason"], line["source"]) == ("optOut: email", "api")
    assert f"{created.json['leadId']} email" in {each["hint"] for each in leads}
    assert await find_line(api, "+4930123456") is None


async def test_a_no_counts_for_a_lead_that_is_known_already(api: Client) -> None:
    await add_icp(api)
    tag = a_tag()
    body = {"email": f"ann@{tag}.example", "sends": "never", "providers": []}
    await api.post("/v1/leads", body)

    refused = await api.post("/v1/leads", {**body, "optOut": ["all"]})
    unknown = await api.post("/v1/leads", {**body, "optOut": ["fax"]})

    assert (refused.status, refused.json["code"]) == (409, "leads.lead.exists")
    assert unknown.status == 422
    assert await find_line(api, f"ann@{tag}.example") is not None
