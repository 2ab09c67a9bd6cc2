from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME, ManualClock
from leadflood.engine.db.pool import Database, open_database
from leadflood.sandbox.world import WorldConfig, serve

from tests.api.routes.test_lead_actions import audited
from tests.support.api import Client, running_api, running_node
from tests.support.db import TestServer, cloned_database
from tests.support.statements import sql

pytestmark = pytest.mark.pg
PHONE = "+447400900123"
EVIDENCE = {
    "wording": "Write to me on WhatsApp",
    "source": "https://ours.example/form",
    "obtainedAt": "2026-01-02T10:00:00Z",
}


def a_lead(icp_id: str, **more: Any) -> dict[str, Any]:
    return {
        "icpId": icp_id,
        "email": f"{uuid4().hex}@acme.example",
        "phone": f"+4474{uuid4().int % 10**8:08}",
        "sends": "never",
        "providers": [],
        **more,
    }


async def created(api: Client, icp_id: str, **more: Any) -> str:
    answer = await api.post("/v1/leads", a_lead(icp_id, **more))
    assert answer.status == 201, answer.body
    return f"/v1/leads/{answer.json['leadId']}"


async def opt_ins_of(api: Client, path: str) -> Any:
    return (await api.get(path)).json["optIns"]


async def test_what_a_new_lead_agreed_to_is_kept_with_its_evidence_and_shown(
    api: Client, icp_id: str
) -> None:
    rep = await api.client_of("SALES_REP")
    opt_in = [{"channel": "whatsapp", **EVIDENCE}, "email"]

    path = await created(rep, icp_id, optIn=opt_in, phone=PHONE)

    by_channel = {one["channel"]: one for one in await opt_ins_of(rep, path)}
    whatsapp, email = by_channel["whatsapp"], by_channel["email"]
    assert {name: whatsapp[name] for name in EVIDENCE} == EVIDENCE
    assert (whatsapp["hint"], whatsapp["recordedBy"]) == ("+44***23", f"user:{rep.user_id}")
    assert whatsapp["withdrawnAt"] is None
    assert (email["wording"], email["source"]) == ("", "api")


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"optIn": ["fax"]}, "optIn"),
        ({"optIn": ["sms"], "phone": ""}, "optIn"),
        ({"optIn": ["sms", "sms"]}, "optIn"),
        ({"optIn": [{"channel": "sms", "wording": " ", "source": "x"}]}, "optIn.wording"),
        ({"optIn": [{"channel": "sms", "wording": "x"}]}, "optIn[0].source"),
        (
            {"optIn": [{"channel": "sms", **EVIDENCE, "obtainedAt": "2999-01-01T00:00:00Z"}]},
            "optIn.obtainedAt",
        ),
        (
            {"optIn": [{"channel": "sms", **EVIDENCE, "obtainedAt": "0001-01-01T00:00:00Z"}]},
            "optIn.obtainedAt",
        ),
        ({"optIn": [{"channel": "sms", "wording": "\u200b", "source": "x"}]}, "optIn.wording"),
    ],
)
async def test_an_agreement_that_proves_nothing_refuses_the_lead(
    api: Client, icp_id: str, more: dict[str, Any], path: str
) -> None:
    body = a_lead(icp_id, **more)

    refused = await api.post("/v1/leads", body)

    assert refused.status == 422
    assert [field["path"] for field in refused.problem["fields"]] == [path]
    assert (await api.get(f"/v1/leads?q={body['email']}")).json["data"] == []


async def test_an_agreement_is_recorded_replaced_and_withdrawn(
    api: Client, icp_id: str, node_database: Database
) -> None:
    path = await created(api, icp_id)
    put = f"{path}/opt-ins/whatsapp"

    first = await api.ask("PUT", put, EVIDENCE)
    same = await api.ask("PUT", put, EVIDENCE)
    second = await api.ask("PUT", put, {**EVIDENCE, "wording": "Also about offers"})
    gone = await api.ask("DELETE", f"{put}?reason=asked%20by%20phone")
    again = await api.ask("DELETE", put)

    assert (first.status, same.json) == (200, first.json)
    assert (gone.status, again.status, again.problem["code"]) == (204, 404, "opt_in.not_found")
    newest, oldest = await opt_ins_of(api, path)
    assert (newest["id"], oldest["id"]) == (second.json["id"], first.json["id"])
    assert (oldest["withdrawnReason"], newest["withdrawnReason"]) == ("replaced", "asked by phone")
    assert newest["withdrawnBy"] == "operator"
    lead_id = path.rpartition("/")[2]
    assert (await audited(node_database, lead_id))[-1] == "opt_in.withdrawn"
    timeline = (await api.get(f"{path}/timeline")).json["data"]
    types = [event["type"] for event in timeline if "opt_in" in event["type"]]
    assert types == ["messaging.opt_in.withdrawn", *["messaging.opt_in.recorded"] * 2]


async def test_an_agreement_holds_for_the_address_it_was_given_for(
    api: Client, icp_id: str
) -> None:
    path = await created(api, icp_id, phone="")

    refused = await api.ask("PUT", f"{path}/opt-ins/whatsapp", EVIDENCE)
    odd = await api.ask("PUT", f"{path}/opt-ins/fax", EVIDENCE)
    blank = await api.ask("PUT", f"{path}/opt-ins/email", {**EVIDENCE, "source": " "})

    assert (refused.status, refused.problem["code"]) == (409, "opt_in.no_address")
    assert odd.status == 422
    assert (blank.status, blank.problem["fields"][0]["path"]) == (422, "source")


async def test_who_takes_it_back_takes_it_back_on_every_lead_with_the_address(
    api: Client, icp_id: str
) -> None:
    one, other = [await created(api, icp_id, phone=PHONE) for _ in range(2)]
    for path in (one, other):
        assert (await api.ask("PUT", f"{path}/opt-ins/sms", EVIDENCE)).status == 200

    await api.ask("DELETE", f"{one}/opt-ins/sms")

    [left] = await opt_ins_of(api, other)
    assert left["withdrawnAt"] is not None


async def test_it_is_taken_back_for_the_present_address_whoever_agreed_there(
    api: Client, icp_id: str
) -> None:
    """Sending asks whether an address agreed: the lead itself need have no agreement."""
    phone, other_phone = (f"+4474{uuid4().int % 10**8:08}" for _ in range(2))
    agreed, bare = [await created(api, icp_id, phone=phone) for _ in range(2)]
    moved = await created(api, icp_id, phone=other_phone)
    for path in (agreed, moved):
        assert (await api.ask("PUT", f"{path}/opt-ins/whatsapp", EVIDENCE)).status == 200

    by_bare = await api.ask("DELETE", f"{bare}/opt-ins/whatsapp")
    [after_bare] = await opt_ins_of(api, agreed)
    assert (await api.ask("PUT", f"{agreed}/opt-ins/whatsapp", EVIDENCE)).status == 200
    await api.ask("PATCH", moved, {"phone": phone})
    by_moved = await api.ask("DELETE", f"{moved}/opt-ins/whatsapp")

    assert (by_bare.status, by_moved.status) == (204, 204)
    assert after_bare["withdrawnAt"] is not None
    for path in (agreed, moved):
        assert all(view["withdrawnAt"] for view in await opt_ins_of(api, path))


async def test_a_newer_agreement_leaves_that_to_another_number_of_the_person(
    api: Client, icp_id: str
) -> None:
    kept, merged = [await created(api, icp_id) for _ in range(2)]
    for path in (kept, merged):
        assert (await api.ask("PUT", f"{path}/opt-ins/whatsapp", EVIDENCE)).status == 200
    into = {"intoId": kept.rpartition("/")[2]}
    assert (await api.post(f"{merged}/merge", into)).status in {200, 204}

    await api.ask("PATCH", kept, {"phone": f"+4474{uuid4().int % 10**8:08}"})
    again = await api.ask("PUT", f"{kept}/opt-ins/whatsapp", {**EVIDENCE, "wording": "Again"})
    assert (await api.ask("DELETE", f"{merged}/merge")).status in {200, 204}

    [view] = await opt_ins_of(api, merged)
    assert (again.status, view["withdrawnAt"]) == (200, None)


async def test_a_rep_records_for_their_own_leads_only_and_sends_a_key_twice(
    api: Client, icp_id: str
) -> None:
    await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})
    try:
        rep, other = await api.client_of("SALES_REP"), await api.client_of("SALES_REP")
        path = await created(rep, icp_id)
        stale = {"If-Match": '"99"'}
        key = {"Idempotency-Key": uuid4().hex}

        foreign = await other.ask("PUT", f"{path}/opt-ins/sms", EVIDENCE)
        foreign_end = await other.ask("DELETE", f"{path}/opt-ins/sms")
        late = await rep.ask("PUT", f"{path}/opt-ins/sms", EVIDENCE, headers=stale)
        first = await rep.ask("PUT", f"{path}/opt-ins/sms", EVIDENCE, headers=key)
        second = await rep.ask("PUT", f"{path}/opt-ins/sms", EVIDENCE, headers=key)
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert (foreign.status, foreign_end.status, late.status) == (404, 404, 412)
    assert (first.status, second.body) == (200, first.body)


class Outside(msgspec.Struct, frozen=True):
    """An installation whose Trengo is a pretend one; `admin` shows the pretend world's books."""

    api: Client
    database: Database
    admin: str


@pytest.fixture(scope="module")
async def outside(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    config = WorldConfig(folder=str(folder / "world"), people_count=200)
    async with (
        cloned_database(database_server) as settings,
        open_database(settings) as database,
        serve(config, ManualClock()) as at,
    ):
        messaging = {
            "sender_name": "Ann",
            "whatsapp_template_id": "48211",
            "whatsapp_placeholders": ["first_name", "offer"],
        }
        providers = {"trengo": {"api_key": config.keys.trengo, "base_url": at.trengo}}
        async with (
            running_node(
                database, settings, folder, messaging=messaging, providers=providers
            ) as node,
            running_api(node) as api,
        ):
            yield Outside(api, database, at.admin)


async def test_a_whatsapp_message_goes_from_login_to_trengo_by_public_routes_alone(
    outside: Outside,
) -> None:
    boss = await outside.api.client_of("ADMIN")

    with_consent, without = await _write_to_two(boss)

    await _wait_for(boss, with_consent, "intentState", "accepted")
    await _wait_for(boss, without, "reason", "phone.no_opt_in")
    calls = await outside.database.fetch(
        sql("SELECT id FROM provider_call WHERE provider = 'trengo'")
    )
    assert [str(call["id"]) for call in calls] == await _invoiced(outside)


async def _write_to_two(boss: Client) -> tuple[str, str]:
    """Bring in one who agreed to WhatsApp and one who did not; tell their ids."""
    icp = {
        "name": "Anybody",
        "offer": "We cut the time from purchase request to order by half.",
        "autopilot": "high",
        "target": {"titles": ["COO"]},
        "bands": {"medium": 0.5, "high": 1.0},
    }
    icp_id = (await boss.post("/v1/icps", icp)).json["id"]
    assert (await boss.ask("DELETE", "/v1/admin/sending/hold")).status == 200
    person = {
        "lastName": "Lee",
        "title": "COO",
        "companyName": "Acme Freight",
        "companyDomain": "acme-freight.example",
        "icpId": icp_id,
        "sends": "go",
    }
    ids = []
    for name, phone, opt_in in (
        ("Ann", PHONE, [{"channel": "whatsapp", **EVIDENCE}]),
        ("Bob", "+447400900124", []),
    ):
        body = {**person, "firstName": name, "phone": phone, "optIn": opt_in}
        made = await boss.post("/v1/leads", body)
        assert made.status == 201, made.body
        ids.append(made.json["leadId"])
    return ids[0], ids[1]


async def _wait_for(api: Client, lead_id: str, field: str, value: str) -> None:
    """Look at a lead's message until it says so."""
    seen: Any = None
    with anyio.move_on_after(20):
        while True:
            seen = (await api.get(f"/v1/messages?leadId={lead_id}")).json["data"]
            if seen and seen[0][field] == value:
                return
            await REAL_TIME.sleep(0.05)
    raise AssertionError(seen)


async def _invoiced(outside: Outside) -> list[str]:
    async with outside.api.session.get(f"{outside.admin}/invoices") as answer:
        return [str(line["reference"]) for line in await answer.json()]


async def test_if_match_covers_agreements_and_a_body_that_nobody_reads_is_refused(
    api: Client, icp_id: str
) -> None:
    answer = await api.post("/v1/leads", a_lead(icp_id))
    with anyio.fail_after(10):  # its enrichment and its score change the ETag
        while (await api.get(f"/v1/runs/{answer.json['runId']}")).json["state"] == "running":
            await REAL_TIME.sleep(0.01)
    path = f"/v1/leads/{answer.json['leadId']}"
    seen = (await api.get(path)).headers["ETag"]
    opt_in = f"{path}/opt-ins/whatsapp"

    recorded = await api.ask("PUT", opt_in, EVIDENCE, headers={"If-Match": seen})
    stale = await api.ask("DELETE", opt_in, headers={"If-Match": seen})
    with_body = await api.ask("DELETE", opt_in, {"reason": "asked by phone"})
    withdrawn = await api.ask("DELETE", f"{opt_in}?reason=asked%20by%20phone")

    [kept] = await opt_ins_of(api, path)
    assert (recorded.status, stale.status, withdrawn.status) == (200, 412, 204)
    assert (with_body.status, with_body.problem["code"]) == (422, "http.body.unexpected")
    assert kept["withdrawnReason"] == "asked by phone"
