import pytest
from leadflood.app import Node

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_statistics_show_queue_tables_connections_events_and_money(
    api: Client, node: Node
) -> None:
    answer = await api.get("/v1/admin/statistics")

    statistics = answer.json
    assert answer.status == 200
    assert [depth["stage"] for depth in statistics["queue"]] == sorted(node.engine.runners)
    assert {rate["stage"] for rate in statistics["rates"]} == set(node.engine.runners)
    assert statistics["database"]["bytes"] > 1_000_000
    assert statistics["database"]["connections"]["active"] >= 1
    names = [table["name"] for table in statistics["database"]["tables"]]
    assert {"lead", "job", "event", "provider_call", "audit_event"} <= set(names)
    assert statistics["ledger"]["use"]["month"]["capMicros"] is None


async def test_statistics_need_the_permission_to_read_the_system(api: Client) -> None:
    viewer = await api.client_of("VIEWER")

    for path in ("statistics", "settings", "providers", "budget", "dead-letters"):
        assert (await viewer.get(f"/v1/admin/{path}")).status == 403
