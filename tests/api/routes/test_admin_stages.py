from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database

from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
STAGE = "/v1/admin/stages/suppressions.add"


async def test_the_tree_shows_every_stage_with_its_actors(api: Client, node: Node) -> None:
    tree = (await api.get("/v1/admin/tree")).json

    below = {child["name"]: child for child in tree["children"]}
    for stage in node.engine.runners:
        shown = below[f"stage {stage}"]
        assert shown["stage"]["stage"] == stage
        assert {child["health"] for child in shown["children"]} <= {"running", "stopped"}
        assert f"{stage} committer" in {child["name"] for child in shown["children"]}
    assert "timer" in {child["name"] for child in below["maintenance"]["children"]}


async def test_a_stage_is_paused_for_all_nodes_with_who_and_why_and_goes_on(
    api: Client, node_database: Database
) -> None:
    paused = await api.ask("PUT", f"{STAGE}/pause", {"reason": "too many"})
    switches = (await api.get("/v1/admin/switches")).json
    resumed = await api.ask("DELETE", f"{STAGE}/pause")
    again = await api.ask("DELETE", f"{STAGE}/pause")

    assert paused.json["state"] == "paused"
    assert {
        "name": "stage:suppressions.add",
        "state": "paused",
        "byWhom": "operator",
        "reason": "too many",
    } in switches
    assert resumed.json["state"] == again.json["state"] == "running"
    left = await node_database.fetch(sql("SELECT name FROM switch WHERE name LIKE 'stage:%'"))
    assert not left


async def test_a_stage_is_scaled_and_back(api: Client) -> None:
    before = (await api.get("/v1/admin/stages")).json

    scaled = await api.ask("PUT", f"{STAGE}/concurrency", {"concurrency": 3})
    back = await api.ask("DELETE", f"{STAGE}/concurrency")

    assert (scaled.status, back.status) == (200, 200)
    names = [stage["stage"] for stage in before]
    assert names == [stage["stage"] for stage in (await api.get("/v1/admin/stages")).json]


async def test_a_stage_that_computes_whole_batches_is_not_scaled(api: Client) -> None:
    path = "/v1/admin/stages/scoring.compute/concurrency"

    refused = await api.ask("PUT", path, {"concurrency": 3})

    assert refused.status == 422
    assert refused.problem["detail"] == (
        "scoring.compute computes whole batches: it has no number of jobs at once to scale"
    )


async def test_a_stage_is_drained_until_nothing_of_it_is_in_hand(api: Client) -> None:
    drained = await api.ask("PUT", f"{STAGE}/drain", {"reason": "upgrade"})
    shown = (await api.get(f"{STAGE}/drain")).json
    await api.ask("DELETE", f"{STAGE}/drain")
    after = (await api.get(f"{STAGE}/drain")).json

    assert (drained.status, drained.json) == (200, shown)
    assert shown == {"stage": "suppressions.add", "state": "drained", "inHand": 0}
    assert after["state"] == "running"


@asynccontextmanager
async def job_at_work(node: Node, database: Database) -> AsyncIterator[None]:
    """Have a job of the stage in hand while the block runs."""
    held, claim = node.engine.node.held, 1
    at_work = uuid4()
    held[at_work] = claim  # or the reconciler gives it back
    await database.execute(
        sql(
            "INSERT INTO job (id, created_at, state, node_id, claim, stage, payload) VALUES"
            " ($1, '2026-01-01Z', 1, $2, $3, 'suppressions.add', '{}')",
            "id",
            "node_id",
            "claim",
        ),
        id=at_work,
        node_id=node.engine.node.id,
        claim=claim,
    )
    yield
    await database.execute(sql("DELETE FROM job WHERE id = $1", "id"), id=at_work)
    del held[at_work]


async def test_a_drain_waits_until_nothing_is_in_hand(
    api: Client, node: Node, node_database: Database
) -> None:
    answers = []

    async def drain() -> None:
        answers.append(await api.ask("PUT", f"{STAGE}/drain", {"waitSeconds": 10}))

    async with anyio.create_task_group() as group, job_at_work(node, node_database):
        group.start_soon(drain)
        await REAL_TIME.sleep(0.3)
    await api.ask("DELETE", f"{STAGE}/drain")

    assert [(answer.status, answer.json["inHand"]) for answer in answers] == [(200, 0)]


async def test_a_drain_that_is_not_done_tells_how_far_it_is(
    api: Client, node: Node, node_database: Database
) -> None:
    async with job_at_work(node, node_database):
        draining = await api.ask("PUT", f"{STAGE}/drain", {"waitSeconds": 0.1})
    drained = await api.ask("PUT", f"{STAGE}/drain", {})
    await api.ask("DELETE", f"{STAGE}/drain")

    assert (draining.status, draining.json["state"], draining.json["inHand"]) == (
        202,
        "draining",
        1,
    )
    assert (drained.status, drained.json["inHand"]) == (200, 0)


async def test_each_change_of_an_operator_is_written_down_with_it(
    api: Client, node_database: Database
) -> None:
    before = await actions(node_database)

    await api.ask("PUT", f"{STAGE}/pause", {"reason": "a"})
    await api.ask("DELETE", f"{STAGE}/pause")
    await api.ask("DELETE", f"{STAGE}/pause")
    await api.ask("PUT", f"{STAGE}/concurrency", {"concurrency": 3})
    await api.ask("DELETE", f"{STAGE}/concurrency")
    await api.ask("PUT", "/v1/admin/sending/hold", {"reason": "b"})
    await api.ask("DELETE", "/v1/admin/sending/hold")

    assert (await actions(node_database))[len(before) :] == [
        "stage.paused", "stage.resumed", "stage.scaled", "stage.unscaled", "sending.held",
        "sending.released",
    ]  # fmt: skip


async def actions(database: Database) -> list[str]:
    rows = await database.fetch(sql("SELECT action FROM audit_event ORDER BY id"))
    return [row["action"] for row in rows]


@pytest.mark.parametrize("path", ["stages/nothing/pause", "providers/nobody/stop"])
async def test_an_unknown_name_is_told_with_those_that_exist(api: Client, path: str) -> None:
    refused = await api.ask("PUT", f"/v1/admin/{path}", {})

    assert refused.status == 404
    assert "message.send" in refused.problem["detail"] or "apollo" in refused.problem["detail"]


async def test_the_node_that_answers_is_among_the_nodes(api: Client) -> None:
    nodes = (await api.get("/v1/admin/nodes")).json

    assert [node["isThis"] for node in nodes] == [True]
