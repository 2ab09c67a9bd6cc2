import pytest
from leadflood.app import Node

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_queue_tables_connections_events_and_money_are_told_in_numbers(
    api: Client, node: Node
) -> None:
    answer = await api.get("/v1/admin/statistics")

    told = answer.json
    assert answer.status == 200
    assert [one["stage"] for one in told["queue"]] == sorted(node.engine.runners)
    assert {one["stage"] for one in told["rates"]} == set(node.engine.runners)
    assert told["database"]["bytes"] > 1_000_000
    assert told["database"]["connections"]["active"] >= 1
    names = [table["name"] for table in told["database"]["tables"]]
    assert {"lead", "job", "event", "provider_call", "audit_event"} <= set(names)
    assert told["ledger"]["use"]["month"]["capMicros"] is None


async def test_who_may_not_look_at_the_machine_does_not(api: Client) -> None:
    viewer = await api.client_of("VIEWER")

    for path in ("statistics", "settings", "providers", "budget", "dead-letters"):
        assert (await viewer.get(f"/v1/admin/{path}")).status == 403
