from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.features.service import FeatureService
from leadflood.domain.icp.schemas import Bands, Target
from leadflood.domain.lead_views.service.icp_previews import MAX_AT_ONCE, IcpPreviews
from leadflood.domain.scoring.schemas import LeadCount
from leadflood.domain.scoring.service import LEADS_BETWEEN_LOOKS, PREVIEW_SECONDS, ScoringService
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from typing_extensions import override

from tests.domain.icp.icps import a_flag
from tests.support.api import Client
from tests.support.clocks import HurriedClock
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


def an_icp(title: str, *rules: dict[str, Any]) -> dict[str, Any]:
    by_title = {"field": "title", "operator": "EQ", "value": title, "kind": "HARD_FILTER"}
    return {
        "name": f"ICP {uuid4()}",
        "target": {"titles": [title]},
        "rules": [by_title, {"field": "has_email", "operator": "EQ", "value": True}, *rules],
    }


async def new_leads(world: World, title: str, count: int) -> list[str]:
    """Make leads that are the newest, whatever other tests of the folder have brought in."""
    lead_ids = [
        str(await world.lead(title=title, email=f"{uuid4()}@acme.example", full_name=f"P {number}"))
        for number in range(count)
    ]
    await world.db.execute(
        sql("UPDATE lead SET created_at = $1 WHERE id = ANY($2::uuid[])", "at", "ids"),
        at=SystemClock().now(),
        ids=lead_ids,
    )
    return lead_ids


async def test_a_preview_counts_rule_by_rule_and_shows_the_best(api: Client, world: World) -> None:
    title = f"Keeper {uuid4()}"
    lead_ids = await new_leads(world, title, 3)
    unknown = {"field": "company_revenue", "operator": "GT", "value": 5}

    answer = await api.post("/v1/icps/preview?sampleSize=5", an_icp(title, unknown))

    assert answer.status == 200
    preview = answer.json
    by_title, by_email, by_revenue = preview["rules"]
    evaluated_count = preview["evaluatedCount"]
    assert (by_title["metCount"], by_title["keptAsOnlyFilter"]) == (3, 3)
    assert preview["filteredOutCount"] == evaluated_count - 3
    assert by_revenue["metCount"] == 0
    assert by_revenue["unknownCount"] >= 3
    assert by_email["fitAsFilter"] == preview["fitCount"] == 3
    assert sum(preview["bands"].values()) == evaluated_count
    assert {lead["leadId"] for lead in preview["sample"][:3]} == set(lead_ids)
    best = preview["sample"][0]
    assert sum(part["pointsMilli"] for part in best["contributions"]) == best["scoreMilli"]
    assert best["values"]["title"] == title


async def test_a_saved_icp_previews_the_same_as_unsaved(api: Client, world: World) -> None:
    title = f"Keeper {uuid4()}"
    await new_leads(world, title, 2)
    body = an_icp(title)
    icp = (await api.post("/v1/icps", body)).json

    saved = (await api.post(f"/v1/icps/{icp['profileId']}/preview?sampleSize=2")).json
    unsaved = (await api.post("/v1/icps/preview?sampleSize=2", body)).json

    assert saved["sample"] == unsaved["sample"]
    assert saved["fitCount"] == unsaved["fitCount"] == 2
    assert (await api.post(f"/v1/icps/{uuid4()}/preview")).status == 404


class NotedScores(ScoringService):
    """Scores that note whose preview begins; which of two at once ends first, a thread decides."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.begun: list[Visibility] = []

    @override
    async def count_leads(self, visibility: Visibility = EVERYTHING) -> LeadCount:
        self.begun.append(visibility)
        return await super().count_leads(visibility)


async def test_the_previews_of_one_user_leave_a_turn_to_the_next(node: Node) -> None:
    scores = NotedScores(node.storage.db)
    previews = IcpPreviews(scores, SystemClock())
    visibility_of = {"busy": EVERYTHING, "other": Visibility(uuid4())}

    async with anyio.create_task_group() as tasks:
        for user in [*["busy"] * 15, "other"]:
            visibility = visibility_of[user]
            tasks.start_soon(previews.preview, (), Bands(), Target(), user, visibility, 1)

    order = ["busy" if visibility is EVERYTHING else "other" for visibility in scores.begun]
    assert order.index("other") <= MAX_AT_ONCE
    assert order.count("busy") == 15


async def test_a_preview_refuses_rules_that_make_no_sense(api: Client) -> None:
    refused = await api.post(
        "/v1/icps/preview", an_icp("x", {"field": "title", "operator": "GT", "value": 1})
    )

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "rules[2].operator"


async def test_a_preview_scores_only_leads_that_the_caller_may_see(
    node: Node, world: World, node_database: Database
) -> None:
    visibility = Visibility(uuid4())
    [mine, _] = await new_leads(world, "Keeper", 2)
    await node_database.execute(
        sql("UPDATE lead SET owner = $1 WHERE id = $2", "owner", "id"),
        owner=visibility.owner,
        id=mine,
    )
    rules, vectors = [a_flag("has_email")], FeatureService().vectors_for(Target())

    scores = node.storage.scores
    preview = await scores.preview(rules, Bands(), vectors, SystemClock(), visibility=visibility)

    assert [str(lead.lead_id) for lead in preview.sample] == [mine]
    assert preview.sample[0].shown[FieldName.TITLE] == "Keeper"
    assert (await scores.count_leads(visibility)).count == 1


async def test_a_preview_that_takes_long_shows_fewer_leads_and_says_how_many(
    node: Node, world: World
) -> None:
    await new_leads(world, "Keeper", 3 * LEADS_BETWEEN_LOOKS)
    vectors = FeatureService().vectors_for(Target())

    preview = await node.storage.scores.preview(
        [a_flag("has_email")], Bands(), vectors, HurriedClock(0.5)
    )

    assert preview.evaluated_count == LEADS_BETWEEN_LOOKS * PREVIEW_SECONDS / 0.5
    assert preview.bands.scored == preview.evaluated_count


async def test_a_preview_scores_as_the_pipeline_does(api: Client, world: World) -> None:
    """The same lead, the same ICP: what was previewed is what is scored."""
    title = f"Keeper {uuid4()}"
    icp = (await api.post("/v1/icps", an_icp(title))).json
    body = {"icpId": icp["id"], "email": f"{uuid4()}@acme.example", "title": title}
    created = (
        await api.post("/v1/leads", {**body, "fullName": "Ada", "sends": "never", "providers": []})
    ).json
    del world

    with anyio.fail_after(20):
        while (lead := (await api.get(f"/v1/leads/{created['leadId']}")).json)["score"] is None:
            await anyio.lowlevel.checkpoint()
    preview = (await api.post(f"/v1/icps/{icp['id']}/preview?sampleSize=1")).json

    assert preview["sample"][0]["leadId"] == created["leadId"]
    assert preview["sample"][0]["contributions"] == lead["score"]["contributions"]


async def test_a_search_starts_a_run_at_each_source_once_a_day(api: Client) -> None:
    icp = (await api.post("/v1/icps", an_icp("COO"))).json
    path = f"/v1/icps/{icp['profileId']}"
    body = {"maxLeads": 3, "providers": ["apollo"], "sends": "never"}

    first = await api.post(f"{path}/search", body)
    same = await api.post(f"{path}/search", body)
    other = await api.post(f"{path}/search", {**body, "maxLeads": 4})

    assert (first.status, same.status, other.status) == (201, 200, 201)
    assert [run["provider"] for run in first.json["runs"]] == ["apollo"]
    assert same.json["runId"] == first.json["runId"]
    assert (first.json["isNew"], same.json["isNew"]) == (True, False)
    listed = (await api.get(f"{path}/search-runs")).json["data"]
    assert [run["id"] for run in listed] == [other.json["runId"], first.json["runId"]]
    run = await api.get(f"{path}/search-runs/{first.json['runId']}")
    assert (run.json["kind"], run.json["wantedCount"]) == ("search", 3)


async def test_a_run_of_another_icp_is_not_among_its_searches(api: Client, icp_id: str) -> None:
    icp = (await api.post("/v1/icps", an_icp("COO"))).json
    run = (await api.post(f"/v1/icps/{icp['id']}/search", {"providers": []})).json["runId"]

    assert (await api.get(f"/v1/icps/{icp_id}/search-runs/{run}")).status == 404


async def test_a_source_that_cannot_search_is_refused_and_starts_nothing(api: Client) -> None:
    icp = (await api.post("/v1/icps", an_icp("COO"))).json
    path = f"/v1/icps/{icp['profileId']}"

    refused = await api.post(f"{path}/search", {"sources": ["apollo", "smtp"]})

    assert (refused.status, refused.problem["fields"][0]["path"]) == (422, "provider")
    assert (await api.get(f"{path}/search-runs")).json["data"] == []
