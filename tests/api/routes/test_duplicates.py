"""Possible duplicates over HTTP: listed, merged, told apart."""

from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME

from tests.support.api import Client

pytestmark = [pytest.mark.pg, pytest.mark.usefixtures("icp_id")]


async def suspected(api: Client) -> Any:
    """Create two namesakes, and wait until they are found to be possible duplicates."""
    domain = f"d{uuid4().hex[:12]}.example"
    lead_ids = [
        (
            await api.post(
                "/v1/leads",
                {"email": f"{local}@{domain}", "fullName": "John Smith", "title": local},
            )
        ).json["leadId"]
        for local in ("john", "john.smith")
    ]
    with anyio.fail_after(20):
        while True:
            pairs = (await api.get(f"/v1/duplicates?leadId={lead_ids[0]}")).json["data"]
            if pairs:
                return pairs[0]
            await REAL_TIME.sleep(0.05)


async def test_two_that_may_be_one_are_merged(api: Client) -> None:
    pair = await suspected(api)
    merge = f"/v1/duplicates/{pair['id']}/merge"

    answer = await api.post(merge)
    again = await api.post(merge)

    assert pair["lead"]["values"]["title"] == "john"
    assert "same name" in pair["reasons"]
    assert answer.json == {"survivorId": pair["lead"]["id"], "mergedId": pair["other"]["id"]}
    assert (again.status, again.json["code"]) == (409, "leads.merge.same")
    left = (await api.get(f"/v1/duplicates?leadId={pair['lead']['id']}")).json["data"]
    assert left == []


async def test_two_that_are_different_are_not_shown_again(api: Client) -> None:
    pair = await suspected(api)
    different = f"/v1/duplicates/{pair['id']}/different"

    statuses = [(await api.post(different)).status for _ in range(2)]

    query = f"leadId={pair['other']['id']}"
    assert statuses == [204, 204]
    assert (await api.get(f"/v1/duplicates?{query}")).json["data"] == []
    [decided] = (await api.get(f"/v1/duplicates?{query}&state=different")).json["data"]
    assert decided["id"] == pair["id"]


async def test_pairs_are_listed_page_by_page(api: Client) -> None:
    for _ in range(2):
        await suspected(api)

    first = (await api.get("/v1/duplicates?limit=1")).json
    second = (
        await api.get(f"/v1/duplicates?limit=1&cursor={first['pagination']['nextCursor']}")
    ).json

    assert first["data"][0]["id"] != second["data"][0]["id"]
    assert first["data"][0]["score"] >= second["data"][0]["score"]


async def test_a_lead_merged_into_what_it_stands_for_is_refused_with_a_word(api: Client) -> None:
    pair = await suspected(api)
    older, younger = pair["lead"]["id"], pair["other"]["id"]
    assert (await api.post(f"/v1/leads/{younger}/merge", {"intoId": older})).status == 200

    back = await api.post(f"/v1/leads/{older}/merge", {"intoId": younger})
    itself = await api.post(f"/v1/leads/{older}/merge", {"intoId": older})

    for answer in (back, itself):
        assert (answer.status, answer.json["code"]) == (409, "leads.merge.same")
        assert "are one already" in answer.json["detail"]


async def test_what_is_not_there_is_not_found(api: Client) -> None:
    for verb in ("merge", "different"):
        answer = await api.post(f"/v1/duplicates/{uuid4()}/{verb}")
        assert (answer.status, answer.json["code"]) == (404, "leads.duplicate.not_found")
