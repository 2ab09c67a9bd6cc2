from typing import Any
from uuid import uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.support.api import Client
from tests.support.statements import sql

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


async def test_the_later_of_two_editors_gets_a_conflict(api: Client) -> None:
    first = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{first['profileId']}"
    await api.ask("PUT", path, an_icp(basedOnVersion=1))

    refused = await api.ask("PUT", path, an_icp(basedOnVersion=1))

    assert refused.status == 409
    assert refused.problem["code"] == "icp.profile.version_conflict"


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
async def test_a_foreign_cursor_is_refused(api: Client, cursor: str) -> None:
    refused = await api.get(f"/v1/icps?cursor={cursor}")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "cursor"


async def test_the_error_of_an_invalid_rule_names_its_field(api: Client) -> None:
    rule = {"field": "company_size", "operator": "MATCHES", "value": "x"}

    refused = await api.post("/v1/icps", an_icp(rules=[rule]))

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"].startswith("rules[0]")


async def test_if_match_refuses_an_editor_of_an_older_version(api: Client) -> None:
    first = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{first['profileId']}"
    tag = (await api.get(path)).headers["ETag"]

    second = await api.ask("PUT", path, an_icp(name="b"), headers={"If-Match": tag})
    late = await api.ask("PUT", path, an_icp(name="c"), headers={"If-Match": tag})

    assert (second.status, second.json["version"]) == (200, 2)
    assert (late.status, late.problem["code"]) == (412, "icp.profile.version_conflict")
    assert (await api.get(path)).json["name"] == "b"


async def test_versions_are_listed_newest_first_and_shown_by_number(api: Client) -> None:
    first = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{first['profileId']}"
    for name in ("b", "c"):
        await api.ask("PUT", path, an_icp(name=name))

    page = (await api.get(f"{path}/versions?limit=2")).json
    cursor = page["pagination"]["nextCursor"]
    rest = (await api.get(f"{path}/versions?limit=2&cursor={cursor}")).json

    assert [icp["version"] for icp in page["data"] + rest["data"]] == [3, 2, 1]
    assert (await api.get(f"{path}/versions/1")).json == first
    assert (await api.get(f"{path}/versions/9")).problem["code"] == "icp.version.not_found"


async def test_an_archived_icp_is_not_listed_until_it_is_restored(api: Client) -> None:
    name = f"Away {uuid4()}"
    icp = (await api.post("/v1/icps", an_icp(name=name))).json
    path = f"/v1/icps/{icp['profileId']}"

    gone = [await api.ask("DELETE", path) for _ in range(2)]
    present = (await api.get(f"/v1/icps?q={name[:20]}")).json["data"]
    away = (await api.get(f"/v1/icps?q={name[:20].upper()}&archived=true")).json["data"]
    changed = await api.ask("PUT", path, an_icp())
    searched = await api.post(f"{path}/search", {})
    back = await api.ask("DELETE", f"{path}/archival")

    assert [one.status for one in gone] == [204, 204]
    assert (present, [one["profileId"] for one in away]) == ([], [icp["profileId"]])
    assert away[0]["archivedAt"] is not None
    assert changed.problem["code"] == searched.problem["code"] == "icp.profile.archived"
    assert back.json == icp


async def test_an_icp_is_not_archived_while_a_search_for_it_goes_on(api: Client) -> None:
    icp = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{icp['profileId']}"
    run = (await api.post(f"{path}/search", {"providers": []})).json

    refused = await api.ask("DELETE", path)
    await api.ask("PUT", f"/v1/discovery/runs/{run['runId']}/cancellation")

    assert (refused.status, refused.problem["code"]) == (409, "icp.profile.in_use")
    assert (await api.ask("DELETE", path)).status == 204


RULE = {"kind": "HARD_FILTER", "field": "country", "operator": "EQ", "value": "DE", "weight": 1.0}


async def test_rules_are_added_changed_dropped_and_replaced(api: Client) -> None:
    icp = (await api.post("/v1/icps", an_icp())).json
    path = f"/v1/icps/{icp['profileId']}/rules"
    place = len(icp["rules"])

    added = await api.post(path, RULE)
    changed = await api.ask("PATCH", f"{path}/{place}", {"value": "AT"})
    dropped = await api.ask("DELETE", f"{path}/{place}")
    whole = await api.ask("PUT", path, {"rules": [{**RULE, "kind": "WEIGHTED"}]})

    assert (added.status, added.json["rules"][place]) == (201, RULE)
    assert changed.json["rules"][place] == {**RULE, "value": "AT"}
    assert dropped.json["rules"] == icp["rules"]
    assert whole.json["rules"] == [{**RULE, "kind": "WEIGHTED"}]
    assert [one.json["version"] for one in (added, changed, dropped, whole)] == [2, 3, 4, 5]
    assert (await api.get(path)).json == whole.json
    assert (await api.get(f"/v1/icps/{icp['profileId']}")).json["target"] == icp["target"]


async def test_an_invalid_rule_change_changes_nothing(api: Client) -> None:
    icp = (await api.post("/v1/icps", an_icp(rules=[{**RULE, "kind": "WEIGHTED"}]))).json
    path = f"/v1/icps/{icp['profileId']}/rules"

    nowhere = await api.ask("PATCH", f"{path}/7", {"value": "AT"})
    wrong = await api.ask("PATCH", f"{path}/0", {"operator": "GT"})
    stale = await api.ask("PUT", path, {"rules": []}, headers={"If-Match": '"9"'})

    assert (nowhere.status, nowhere.problem["code"]) == (404, "icp.rule.not_found")
    assert (wrong.status, wrong.problem["fields"][0]["path"]) == (422, "rules[0].operator")
    assert stale.status == 412
    assert (await api.get(path)).json["version"] == 1


async def test_changes_of_icps_are_audited(api: Client, node_database: Database) -> None:
    icp = (await api.post("/v1/icps", an_icp())).json
    path, changed = f"/v1/icps/{icp['profileId']}", an_icp()

    for _ in range(2):
        await api.ask("PUT", path, changed)
    await api.ask("DELETE", path)
    await api.ask("DELETE", f"{path}/archival")

    rows = await node_database.fetch(
        sql("SELECT action FROM audit_event WHERE subject_id = $1 ORDER BY id", "id"),
        id=icp["profileId"],
    )
    assert [row["action"] for row in rows] == [
        "icp.created",
        "icp.changed",
        "icp.archived",
        "icp.restored",
    ]
