from datetime import UTC, datetime
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.contracts.found_values import FoundPerson, FoundValue
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery.schemas import PageWanted
from leadflood.domain.discovery.stage import DiscoveryStage
from leadflood.engine.queue.outcome import Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy

from tests.support.api import Answer, Client, running_api
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_a_run_is_started_watched_and_cancelled(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "maxLeads": 7, "sends": "never", "capMicros": 5, "kind": "search"}

    started = await api.post("/v1/discovery/runs", body)

    assert started.status == 201
    path = f"/v1/discovery/runs/{started.json['runId']}"
    run = (await api.get(path)).json
    assert (run["icpId"], run["kind"], run["provider"]) == (icp_id, "search", "apollo")
    assert (run["wantedCount"], run["sends"], run["capMicros"]) == (7, "never", 5)
    assert (run["state"], run["runState"], run["progress"]["found"]) == ("RUNNING", "running", 0)
    assert (await api.get(f"/v1/jobs/{started.json['jobId']}")).json["stage"] == "discovery.run"

    cancelled = await api.ask("PUT", f"{path}/cancellation")
    again = await api.ask("PUT", f"{path}/cancellation")

    assert cancelled.json == again.json
    assert cancelled.json["isCancelled"] is True
    with anyio.fail_after(15):
        job = await api.wait_for_job(started.json["jobId"])
    assert job["state"] in {"cancelled", "failed"}
    assert (await api.get(path)).json["runState"] == "cancelled"


async def test_a_provider_that_cannot_search_is_named(api: Client, icp_id: str) -> None:
    refused = await api.post("/v1/discovery/runs", {"icpId": icp_id, "provider": "smtp"})

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "provider"


@pytest.mark.parametrize("over", [{"maxLeads": 0}, {"sends": "maybe"}, {"kind": "anything"}])
async def test_values_out_of_range_name_their_field(api: Client, over: dict[str, object]) -> None:
    refused = await api.post("/v1/discovery/runs", over)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == next(iter(over))


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_run_that_is_not_there_is_not_found(api: Client, method: str) -> None:
    path = f"/v1/discovery/runs/{uuid4()}" + ("/cancellation" if method == "PUT" else "")

    refused = await api.ask(method, path)

    assert refused.status == 404
    assert refused.problem["code"].endswith("not_found")


async def test_runs_are_listed_newest_first_by_icp(api: Client) -> None:
    icp = (await api.post("/v1/icps", {"name": "Listed"})).json["id"]
    body = {"icpId": icp, "maxLeads": 3, "sends": "never", "providers": [], "again": True}
    run_ids = [(await api.post("/v1/discovery/runs", body)).json["runId"] for _ in range(3)]

    first = (await api.get(f"/v1/discovery/runs?icpId={icp}&limit=2")).json
    cursor = first["pagination"]["nextCursor"]
    rest = (await api.get(f"/v1/discovery/runs?icpId={icp}&limit=2&cursor={cursor}")).json

    assert [run["id"] for run in [*first["data"], *rest["data"]]] == run_ids[::-1]
    assert (await api.get("/v1/discovery/runs?state=null")).status == 422


async def test_twenty_equal_requests_at_once_are_one_run(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "maxLeads": 11, "sends": "never", "providers": ["apollo"]}
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await api.post("/v1/discovery/runs", body))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)

    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({(answer.json["runId"], answer.json["jobId"]) for answer in answers}) == 1
    assert [answer.json["isNew"] for answer in answers].count(True) == 1


async def test_two_servers_asked_for_the_same_start_one_run(
    node: Node, api: Client, icp_id: str
) -> None:
    body = {"icpId": icp_id, "maxLeads": 12, "sends": "never", "providers": ["apollo"]}
    runs: set[str] = set()

    async def ask(client: Client) -> None:
        runs.add((await client.post("/v1/discovery/runs", body)).json["runId"])

    async with running_api(node) as other, anyio.create_task_group() as group:
        for client in (api, other) * 5:
            group.start_soon(ask, client)

    assert len(runs) == 1


async def test_again_and_a_cancelled_run_start_another_one(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "maxLeads": 13, "sends": "never", "providers": ["apollo"]}
    first = (await api.post("/v1/discovery/runs", body)).json

    again = await api.post("/v1/discovery/runs", {**body, "again": True})
    same = await api.post("/v1/discovery/runs", body)
    await api.ask("PUT", f"/v1/discovery/runs/{again.json['runId']}/cancellation")
    await api.ask("PUT", f"/v1/discovery/runs/{first['runId']}/cancellation")
    fresh = await api.post("/v1/discovery/runs", body)

    assert (again.status, same.status, fresh.status) == (201, 200, 201)
    assert same.json["runId"] == again.json["runId"]
    assert fresh.json["runId"] not in {first["runId"], again.json["runId"]}


async def test_an_idempotency_key_answers_the_same_bytes(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "maxLeads": 14, "sends": "never", "providers": ["apollo"]}
    key = {"Idempotency-Key": str(uuid4())}

    first = await api.post("/v1/discovery/runs", body, headers=key)
    again = await api.post("/v1/discovery/runs", body, headers=key)

    assert (first.status, first.body) == (again.status, again.body)


async def test_an_inspection_shows_the_request_and_why_records_were_refused(
    node: Node, api: Client, icp_id: str
) -> None:
    run_id = await start_quietly(node, api, icp_id)
    nameless = FoundPerson(provider="apollo", provider_id="p-2", values=())
    answer = PeoplePage(
        people=(a_person("p-1"), nameless, a_person("p-1")),
        total=3,
        refused=(("page 1 record 4", "apollo.no_id: nameless"),),
        asked='{"page":1,"api_key":"very secret"}',
        ignored=("industries",),
    )
    await commit_page(node, run_id, answer)
    path = f"/v1/discovery/runs/{run_id}/inspect"

    inspection = (await api.post(path, {})).json
    first = (await api.post(path, {"status": "REJECTED", "limit": 1})).json
    rest = (
        await api.post(path, {"status": "REJECTED", "limit": 1, "cursor": first["nextCursor"]})
    ).json

    [page] = inspection["pages"]
    assert (page["recordCount"], page["rejectedCount"], page["totalCount"]) == (4, 2, 3)
    assert page["asked"] == '{"page":1,"api_key":"******"}'
    assert page["ignored"] == ["industries"]
    assert [record["status"] for record in inspection["records"]] == [
        "DISCOVERED",
        "REJECTED",
        "DUPLICATE",
        "REJECTED",
    ]
    assert inspection["records"][0]["said"]["title"] == "COO"
    assert inspection["records"][1]["reason"] == "nothing is known of this person but an id"
    assert [part["records"][0]["position"] for part in (first, rest)] == [2, 4]
    assert rest["nextCursor"] is None
    assert (await api.post(f"/v1/discovery/runs/{uuid4()}/inspect", {})).status == 404


async def test_an_inspection_shows_no_people_to_who_reads_no_leads(
    node: Node, api: Client, icp_id: str
) -> None:
    run_id = await start_quietly(node, api, icp_id)
    await commit_page(node, run_id, PeoplePage(people=(a_person("p-1"),), total=1, asked="{}"))
    key = await (await api.client_of("MANAGER")).key_of("discovery:read")

    [record] = (await key.post(f"/v1/discovery/runs/{run_id}/inspect", {})).json["records"]

    assert record["providerId"] == "p-1"
    assert not {"said", "leadId"} & record.keys()


async def start_quietly(node: Node, api: Client, icp_id: str) -> UUID:
    """Start a run of whose pages only the test decides: its first job is taken away."""
    body = {"icpId": icp_id, "sends": "never", "providers": [], "again": True}
    started = (await api.post("/v1/discovery/runs", body)).json
    await api.wait_for_job(started["jobId"])
    await node.storage.db.execute(
        sql(
            "WITH page AS (DELETE FROM discovery_page WHERE run_id = $1), record AS"
            " (DELETE FROM discovery_record WHERE run_id = $1) UPDATE discovery_run SET"
            " state = 'RUNNING', code = NULL, next_page = 1, next_position = 1, error_count = 0"
            " WHERE id = $1",
            "id",
        ),
        id=started["runId"],
    )
    return UUID(started["runId"])


async def commit_page(node: Node, run_id: UUID, answer: PeoplePage) -> None:
    storage = node.storage
    stage = DiscoveryStage(Policy(), {}, storage.ids, storage.clock)
    task = PageWanted(discovery_run_id=run_id, cursor=None, page=1)
    claimed = ClaimedTask(task, storage.ids.new(), 1, run_id, 0, storage.clock.now())
    async with storage.db.transaction() as tx:
        await stage.commit(tx, [FinishedTask(claimed, Done(answer))])


def a_person(name: str) -> FoundPerson:
    values = tuple(
        FoundValue(
            field=field,
            value=value,
            source="apollo",
            method="people.search",
            observed_at=datetime(2026, 1, 1, tzinfo=UTC),
            confidence=0.9,
            evidence_hash="ab" * 32,
        )
        for field, value in ((FieldName.FIRST_NAME, "Ada"), (FieldName.TITLE, "COO"))
    )
    return FoundPerson(provider="apollo", provider_id=name, values=values)
