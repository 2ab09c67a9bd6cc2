from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.db.pool import Database
from leadflood.engine.net.calls import Window

from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
APOLLO = "/v1/admin/providers/apollo"


@pytest.fixture(autouse=True)
async def _as_in_the_settings(api: Client) -> AsyncIterator[None]:
    yield
    back = {"enabled": None, "limits": None, "dayCapMicros": None, "monthCapMicros": None}
    await api.ask("PATCH", APOLLO, back)
    await api.ask("PATCH", "/v1/admin/budget", {"dayCapMicros": None, "monthCapMicros": None})


async def audited(db: Database, action: str) -> int:
    count = await db.fetch_value(
        sql("SELECT count(*) FROM audit_event WHERE action = $1", "action"), action=action
    )
    return int(count)


async def show(api: Client) -> Any:
    return (await api.get(APOLLO)).json


async def test_every_provider_is_shown_with_its_limits_money_breaker_and_speed(
    api: Client, node: Node
) -> None:
    listed = (await api.get("/v1/admin/providers")).json
    listed_apollo = next(provider for provider in listed if provider["name"] == "apollo")
    apollo = await show(api)

    assert [provider["name"] for provider in listed] == sorted(node.storage.settings.providers)
    assert listed_apollo.keys() == apollo.keys()
    assert listed_apollo["version"] == apollo["version"]
    assert (apollo["isConfigured"], apollo["isOff"], apollo["off"]) == (True, False, None)
    assert {limit["name"] for limit in apollo["limits"]} == set(
        node.life.gate.providers.configured("apollo").limits
    )
    assert apollo["budget"]["day"]["capMicros"] is None
    assert apollo["isBreakerOpen"] == apollo["breaker"]["isOpen"]


async def test_a_limit_is_lowered_while_all_runs_and_goes_back(api: Client, node: Node) -> None:
    name, windows = next(iter(node.life.gate.providers.configured("apollo").limits.items()))
    seconds = windows[0].seconds

    lowered = await api.ask(
        "PATCH", APOLLO, {"limits": {name: [{"calls": 3, "seconds": seconds}]}, "reason": "bill"}
    )
    force = node.life.gate.providers.limits("apollo")[name]
    limit = next(limit for limit in lowered.json["limits"] if limit["name"] == name)
    back = await api.ask("PATCH", APOLLO, {"limits": {name: None}})

    assert lowered.status == 200
    assert force[0] == Window(3, seconds, windows[0].kind)
    assert (limit["windows"][0]["calls"], limit["windows"][0]["liveCalls"]) == (3, 3)
    assert lowered.json["lastSet"]["reason"] == "bill"
    assert back.json["version"] == lowered.json["version"] + 1
    assert node.life.gate.providers.limits("apollo")[name] == windows


@pytest.mark.parametrize(
    "limits",
    [
        {"nothing": [{"calls": 1, "seconds": 60}]},
        {"search": [{"calls": 10**9, "seconds": 60}]},
        {"search": [{"calls": 1, "seconds": 60}, {"calls": 2, "seconds": 60}]},
    ],
)
async def test_no_limit_is_raised_above_what_is_documented_or_set(
    api: Client, node: Node, limits: dict[str, Any]
) -> None:
    known_limit = next(iter(node.life.gate.providers.configured("apollo").limits))
    requested = {
        known_limit if name == "search" else name: windows for name, windows in limits.items()
    }

    refused = await api.ask("PATCH", APOLLO, {"limits": requested})

    assert (refused.status, refused.problem["code"]) == (422, "engine.provider.limits")
    assert refused.problem["fields"]


async def test_two_operators_do_not_overwrite_each_other(api: Client) -> None:
    before = await api.get(APOLLO)
    tag = before.headers["ETag"]

    first = await api.ask("PATCH", APOLLO, {"dayCapMicros": 5}, headers={"If-Match": tag})
    second = await api.ask("PATCH", APOLLO, {"dayCapMicros": 6}, headers={"If-Match": tag})

    assert (first.status, second.status) == (200, 412)
    assert (await show(api))["budget"]["day"]["capMicros"] == 5


async def test_a_cap_set_by_hand_is_enforced_and_outlives_the_node(
    api: Client, node: Node, node_database: Database
) -> None:
    before = await audited(node_database, "budget.changed")

    changed = await api.ask("PATCH", "/v1/admin/budget", {"monthCapMicros": 7, "reason": "less"})
    stored = await node_database.fetch_value(
        sql("SELECT state FROM tuning WHERE name = $1", "name"), name="all"
    )

    assert changed.json["use"]["month"]["capMicros"] == 7
    assert node.life.live_overrides.caps.all.month_micros == 7
    assert '"month_cap_micros":7' in stored
    assert await audited(node_database, "budget.changed") == before + 1


async def test_a_change_of_another_node_is_followed(node: Node, node_database: Database) -> None:
    await node_database.execute(
        sql(
            "INSERT INTO tuning VALUES ('hunter', 9, '{\"day_cap_micros\":11}', 'eve', '',"
            " transaction_timestamp()) ON CONFLICT (name) DO UPDATE SET version = 9,"
            " state = excluded.state"
        )
    )

    with anyio.fail_after(3):
        while node.life.live_overrides.get("hunter").version != 9:
            await anyio.lowlevel.checkpoint()

    assert node.life.live_overrides.caps.providers["hunter"].day_micros == 11


async def test_raising_a_cap_resumes_the_jobs_that_waited_for_it(
    api: Client, node_database: Database
) -> None:
    await api.ask("PATCH", APOLLO, {"dayCapMicros": 1})
    waiting = await node_database.fetch_value(
        sql(
            "INSERT INTO job (id, created_at, run_at, state, stage, payload, last_error)"
            " VALUES (gen_random_uuid(), '2026-01-01Z', '2099-01-01Z', 2, 'no.such_stage', '{}',"
            " 'budget.unfunded: the money is spent') RETURNING id"
        )
    )

    await api.ask("PATCH", APOLLO, {"dayCapMicros": 2})
    state = await node_database.fetch_value(
        sql("SELECT state FROM job WHERE id = $1", "id"), id=waiting
    )
    await node_database.execute(sql("DELETE FROM job WHERE id = $1", "id"), id=waiting)

    assert state == 0


async def test_a_provider_is_switched_off_and_on_with_who_and_why(
    api: Client, node: Node, node_database: Database
) -> None:
    before = await audited(node_database, "provider.stopped")

    off = await api.ask("PUT", f"{APOLLO}/stop", {"reason": "bill"})
    was_off = node.engine.switches.is_off("apollo")
    on = await api.ask("DELETE", f"{APOLLO}/stop")
    patched = await api.ask("PATCH", APOLLO, {"enabled": False, "reason": "again"})

    assert off.json["off"] == {"by": "operator", "reason": "bill"}
    assert was_off
    assert (on.json["isOff"], on.json["off"]) == (False, None)
    assert patched.json["off"] == {"by": "operator", "reason": "again"}
    assert await audited(node_database, "provider.stopped") == before + 1


async def test_an_open_breaker_shows_why_and_is_closed_by_hand(api: Client, node: Node) -> None:
    breaker = node.life.gate.providers.breaker("apollo")
    for _ in range(8):
        breaker.record_result(is_failure=True, reason="net.timeout")

    open_breaker = (await show(api))["breaker"]
    key = {"Idempotency-Key": "close it"}
    first = await api.post(f"{APOLLO}/breaker-reset", headers=key)
    again = await api.post(f"{APOLLO}/breaker-reset", headers=key)

    assert (open_breaker["isOpen"], open_breaker["reason"]) == (True, "net.timeout")
    assert open_breaker["failuresInARow"] >= 8
    assert open_breaker["retryInSeconds"] > 0
    assert first.json == again.json
    assert not breaker.is_open


async def test_failed_calls_are_listed_newest_first(api: Client, node_database: Database) -> None:
    await node_database.execute(
        sql(
            "INSERT INTO provider_call (id, provider, operation, node_id, state, reserved_micros,"
            " subjects, shares, outcome, question_hash, created_at, settled_at)"
            " SELECT ('0198000000007000800000000000000' || n)::uuid, 'pdl', 'people.match', 1,"
            " CASE WHEN n = 2 THEN 'unresolved' ELSE 'released' END, 40, '{}', '{}',"
            " 'net.code' || n, '', '2026-01-01Z', '2026-01-01Z' FROM generate_series(1, 2) AS n"
        )
    )

    pdl = (await api.get("/v1/admin/providers/pdl")).json

    assert [failure["code"] for failure in pdl["lastErrors"]] == ["net.code2", "net.code1"]
    assert (pdl["open"]["unresolvedLines"], pdl["open"]["unresolvedMicros"]) == (1, 40)


async def test_an_unknown_provider_is_answered_with_those_that_exist(api: Client) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("PUT", "/stop"), ("POST", "/breaker-reset")):
        body: dict[str, str] | None = None if method in {"GET", "POST"} else {}
        refused = await api.ask(method, f"/v1/admin/providers/nobody{path}", body)

        assert refused.status == 404
        assert "apollo" in refused.problem["detail"]
