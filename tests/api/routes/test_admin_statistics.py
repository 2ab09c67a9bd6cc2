import pytest
from leadflood.app import Node
from leadflood.engine.control import statistics

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_statistics_show_queue_tables_connections_events_and_money(
    api: Client, node: Node
) -> None:
    answer = await api.get("/v1/admin/statistics")

    numbers = answer.json
    assert answer.status == 200
    assert [depth["stage"] for depth in numbers["queue"]] == sorted(node.engine.runners)
    assert {rate["stage"] for rate in numbers["rates"]} == set(node.engine.runners)
    assert numbers["database"]["bytes"] > 1_000_000
    assert numbers["database"]["connections"]["active"] >= 1
    names = [table["name"] for table in numbers["database"]["tables"]]
    assert {"lead", "job", "event", "provider_call", "audit_event"} <= set(names)
    assert numbers["ledger"]["use"]["month"]["capMicros"] is None


async def test_statistics_need_the_permission_to_read_the_system(api: Client) -> None:
    viewer = await api.client_of("VIEWER")

    for path in ("statistics", "settings", "providers", "budget", "dead-letters"):
        assert (await viewer.get(f"/v1/admin/{path}")).status == 403


async def test_sizes_are_read_once_a_minute(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = [(await api.get("/v1/admin/statistics")).json["database"] for _ in range(2)]
    monkeypatch.setattr(statistics, "SIZES_SECONDS", 0.0)
    third = (await api.get("/v1/admin/statistics")).json["database"]

    assert first["readAt"] == second["readAt"] < third["readAt"]
