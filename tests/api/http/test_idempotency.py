from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.api.http import idempotency
from leadflood.app import Node

from tests.api.routes.test_leads import a_lead
from tests.support.api import Answer, Client

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
