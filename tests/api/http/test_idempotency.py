from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.api.http import idempotency
from leadflood.api.http.in_flight import InFlightRequests
from leadflood.api.http.request_context import Caller
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Services
from leadflood.app import Node
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead
from tests.support.api import Answer, Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def test_the_same_key_and_body_get_the_same_answer_and_one_lead(
    api: Client, icp_id: str
) -> None:
    body, headers = a_lead(icp_id), keyed()

    first = await api.post("/v1/leads", body, headers=headers)
    second = await api.post("/v1/leads", body, headers=headers)

    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body


async def test_fifty_equal_posts_at_the_same_moment_are_one(api: Client, icp_id: str) -> None:
    body, headers, answers = a_lead(icp_id), keyed(), list[Answer]()

    async def create() -> None:
        answers.append(await api.post("/v1/leads", body, headers=headers))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(create)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1


async def test_a_key_with_another_body_is_refused(api: Client, icp_id: str) -> None:
    headers = keyed()
    await api.post("/v1/leads", a_lead(icp_id), headers=headers)

    refused = await api.post("/v1/leads", a_lead(icp_id), headers=headers)

    assert refused.status == 422
    assert refused.problem["code"] == "http.idempotency.reused"


async def test_a_refused_request_is_not_remembered_so_that_a_corrected_one_may_use_its_key(
    api: Client, icp_id: str
) -> None:
    headers, bad = keyed(), {"title": "COO", "icpId": icp_id}
    assert (await api.post("/v1/leads", bad, headers=headers)).status == 422

    mended = await api.post("/v1/leads", a_lead(icp_id), headers=headers)

    assert mended.status == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/icps", {"name": "Another"}),
        ("/v1/discovery/runs", {"maxLeads": 3, "sends": "never"}),
    ],
)
@pytest.mark.usefixtures("icp_id")
async def test_every_post_that_makes_something_is_done_once(
    api: Client, path: str, body: dict[str, Any]
) -> None:
    headers = keyed()

    first = await api.post(path, body, headers=headers)
    second = await api.post(path, body, headers=headers)

    assert first.status == 201
    assert first.body == second.body


@pytest.mark.parametrize("key", ["x" * 201, "tab\there"])
async def test_an_unusable_key_is_refused(api: Client, icp_id: str, key: str) -> None:
    headers = {"Idempotency-Key": key}

    refused = await api.post("/v1/leads", a_lead(icp_id), headers=headers)

    assert refused.problem["code"] == "http.idempotency.invalid"


async def test_stored_answers_expire(api: Client, node: Node) -> None:
    headers = keyed()
    await api.post("/v1/icps", {"name": "Forgotten"}, headers=headers)
    storage = node.storage
    later = storage.clock.now() + idempotency.KEPT + timedelta(seconds=1)

    count = await idempotency.prune(storage.db, later)

    assert count > 0
    second = await api.post("/v1/icps", {"name": "Else"}, headers=headers)
    assert second.status == 201


def a_caller() -> Caller:
    return Caller(request_id="r", idempotency_key=uuid4().hex, body_hash=b"b" * 32, route="POST /x")


async def test_equal_requests_at_two_nodes_at_the_same_moment_are_one(node: Node) -> None:
    nodes = [msgspec.structs.replace(node.services, in_flight=InFlightRequests()) for _ in "ab"]
    caller, worked, answers = a_caller(), list[str](), list[str]()

    async def work(uow: UnitOfWork) -> str:
        await uow.tx.fetch_value(sql("SELECT pg_sleep(0.2)"))
        worked.append(uow.caller.by)
        return f"answer {len(worked)}"

    async def ask(platform: Services) -> None:
        answers.append(await run_once(platform, caller, str, work))

    async with anyio.create_task_group() as group:
        for platform in nodes:
            group.start_soon(ask, platform)

    assert answers == ["answer 1", "answer 1"]


async def test_equal_requests_in_batches_of_two_nodes_follow_one_another(
    node_database: Database,
) -> None:
    caller, clock, ended = a_caller(), SystemClock(), list[dict[int, Any]]()

    async def ask_elsewhere() -> None:
        async with node_database.transaction() as tx:
            ended.append(await idempotency.find_many(tx, [caller], str, clock))

    async with anyio.create_task_group() as group, node_database.transaction() as tx:
        assert await idempotency.find_many(tx, [caller], str, clock) == {}
        group.start_soon(ask_elsewhere)
        await node_database.fetch_value(sql("SELECT pg_sleep(0.2)"))
        assert not ended
        await idempotency.record_many(tx, [(caller, "done here")], clock)

    assert ended == [{0: "done here"}]
