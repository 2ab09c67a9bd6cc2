from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Client

pytestmark = pytest.mark.pg


def an_icp(**over: Any) -> dict[str, Any]:
    return {"name": f"ICP {uuid4()}", "target": {"titles": ["CTO"], "companySizeMin": 5}, **over}


async def test_an_icp_is_written_changed_and_found_by_version_and_by_itself(api: Client) -> None:
    first = (await api.post("/v1/icps", an_icp())).json

    second = await api.ask(
        "PUT", f"/v1/icps/{first['profileId']}", an_icp(name="New", basedOnVersion=1)
    )

    assert (second.status, second.json["version"]) == (200, 2)
    assert (await api.get(f"/v1/icps/{first['id']}")).json == first
    assert (await api.get(f"/v1/icps/{first['profileId']}")).json == second.json
    assert first["target"]["companySizeMin"] == 5


async def test_of_two_editors_the_later_one_is_told(api: Client) -> None:
    first = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{first['profileId']}"
    await api.ask("PUT", path, an_icp(basedOnVersion=1))

    refused = await api.ask("PUT", path, an_icp(basedOnVersion=1))

    assert refused.status == 409
    assert refused.problem["code"] == "icp.profile.changed"


async def test_a_list_goes_on_from_its_cursor_to_the_end(api: Client) -> None:
    made = {(await api.post("/v1/icps", an_icp())).json["profileId"] for _ in range(5)}
    seen: list[str] = []
    cursor = ""

    while True:
        page = (await api.get(f"/v1/icps?limit=2&cursor={cursor}")).json
        seen += [icp["profileId"] for icp in page["data"]]
        assert len(page["data"]) <= 2
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            break

    assert made <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("cursor", ["x", "AAAA", "!!", "é"])
async def test_a_cursor_that_is_none_of_ours_is_refused(api: Client, cursor: str) -> None:
    refused = await api.get(f"/v1/icps?cursor={cursor}")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "cursor"


async def test_a_rule_that_makes_no_sense_names_its_field(api: Client) -> None:
    rule = {"field": "company_size", "operator": "MATCHES", "value": "x"}

    refused = await api.post("/v1/icps", an_icp(rules=[rule]))

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"].startswith("rules[0]")
