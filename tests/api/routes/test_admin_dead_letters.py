from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.contracts.found_values import FoundPerson, FoundValue
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.ports.sender import Receipt
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.events import PersonClaimed
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Permanent
from leadflood.engine.queue import runs
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Done
from leadflood.pipeline import STAGE_NAMES, STAGES

from tests.api.routes.test_imports import a_file, set_mapping, upload
from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_dead_letters_are_listed_shown_replayed_and_forgotten(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    await api.wait_for_job(made["jobId"])
    letters = [await a_dead_letter(node_database, UUID(made["leadId"]), icp_id) for _ in range(3)]

    page = (await api.get("/v1/admin/dead-letters?limit=2&errorCode=test.code")).json
    rest = await api.get(
        f"/v1/admin/dead-letters?errorCode=test.code&cursor={page['pagination']['nextCursor']}"
    )
    shown = await api.get(f"/v1/admin/dead-letters/{letters[0]}")
    body = {"ids": [str(letters[0]), str(uuid4())]}
    answer = (await api.post("/v1/admin/dead-letter-replays", body)).json
    replayed = answer["data"]
    forgotten = await api.ask("DELETE", f"/v1/admin/dead-letters/{letters[1]}")

    listed = [*page["data"], *rest.json["data"]]
    assert [one["id"] for one in listed] == [str(one) for one in sorted(letters, reverse=True)]
    assert shown.json["error"] == "it broke"
    assert [one["ending"] for one in replayed] == ["queued", "not_found"]
    assert answer["counts"] == {"queued": 1, "not_found": 1}
    assert (await api.wait_for_job(replayed[0]["jobId"]))["state"] == "completed"
    assert (forgotten.status, forgotten.body) == (204, b"")
    assert (await api.ask("DELETE", f"/v1/admin/dead-letters/{letters[1]}")).status == 404


async def test_dead_letters_of_a_filter_are_replayed_part_by_part_and_once(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    lead_id = UUID(made["leadId"])
    letters = [await a_dead_letter(node_database, lead_id, icp_id, "test.many") for _ in range(3)]
    path = "/v1/admin/dead-letter-replays"
    body = {"filter": {"errorCode": "test.many"}, "limit": 2}
    key = {"Idempotency-Key": f"replay {made['leadId']}"}

    first = (await api.post(path, body, headers=key)).json
    again = (await api.post(path, body, headers=key)).json
    rest = (await api.post(path, {**body, "cursor": first["nextCursor"]})).json

    assert first == again
    replayed = [one["id"] for one in [*first["data"], *rest["data"]]]
    assert replayed == [str(one) for one in sorted(letters, reverse=True)]
    assert rest["nextCursor"] is None
    entry = (await api.get("/v1/audit?action=dead_letter.replayed&limit=1")).json["data"][0]
    assert entry["detail"]["filter"]["errorCode"] == "test.many"


async def test_dead_letters_of_a_filter_are_forgotten(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    for _ in range(3):
        await a_dead_letter(node_database, UUID(made["leadId"]), icp_id, "test.gone")

    answer = await api.post(
        "/v1/admin/dead-letter-discards", {"filter": {"errorCode": "test.gone"}}
    )
    left = (await api.get("/v1/admin/dead-letters?errorCode=test.gone")).json["data"]
    neither = await api.post("/v1/admin/dead-letter-discards", {})

    assert answer.json == {"discarded": 3, "nextCursor": None}
    assert left == []
    assert neither.status == 422


async def test_a_send_that_may_have_arrived_is_not_replayed(
    api: Client, node_database: Database, world: World
) -> None:
    [event] = await world.approved(email=f"{uuid4().hex}@acme.example")
    await node_database.execute(
        sql(
            "UPDATE intent SET state = 'unknown', claim = 1, job_id = id, sending_at = created_at"
            " WHERE id = $1",
            "id",
        ),
        id=event.intent_id,
    )
    letter = await node_database.fetch_value(
        sql(
            "INSERT INTO dead_letter (id, stage, turn, priority, attempts, losses, payload,"
            " error_code, error, chain, created_at, died_at) SELECT gen_random_uuid(),"
            " 'message.send', 0, 0, 1, 0, $1, 'test.sent', '', '', created_at, created_at"
            " FROM installation RETURNING id",
            "payload",
        ),
        payload=f'{{"intent_id":"{event.intent_id}"}}',
    )

    answer = (await api.post("/v1/admin/dead-letter-replays", {"ids": [str(letter)]})).json

    assert answer["counts"] == {"doubtful": 1}


async def test_a_waiting_job_is_buried_its_lead_failed_and_both_written_down(
    api: Client, node_database: Database, icp_id: str
) -> None:
    lead_id = (await api.post("/v1/leads", a_lead(icp_id))).json["leadId"]
    await scored(api, lead_id)  # no job of its own changes it any more
    job_id = await node_database.fetch_value(
        sql(
            "INSERT INTO job (id, created_at, run_at, state, stage, payload) VALUES"
            " (gen_random_uuid(), '2026-01-01Z', '2099-01-01Z', 2, 'no.such_stage', $1)"
            " RETURNING id",
            "payload",
        ),
        payload=f'{{"lead_id":"{lead_id}"}}',
    )

    buried = await api.post(f"/v1/admin/jobs/{job_id}/bury")
    again = await api.post(f"/v1/admin/jobs/{job_id}/bury")

    assert (buried.status, buried.json["errorCode"]) == (200, "engine.buried")
    assert again.status == 404
    lead = (await api.get(f"/v1/leads/{lead_id}")).json
    assert (lead["status"], lead["failedCode"]) == ("failed", "engine.buried")
    entry = (await api.get(f"/v1/audit?subjectKind=job&subjectId={job_id}")).json["data"]
    assert [one["action"] for one in entry] == ["job.buried"]


async def a_dead_letter(
    database: Database, lead_id: UUID, icp_id: str, code: str = "test.code"
) -> UUID:
    payload = f'{{"type":"leads.lead.created","lead_id":"{lead_id}","icp_id":"{icp_id}"}}'
    made = await database.fetch_value(
        sql(
            "INSERT INTO dead_letter (id, run_id, stage, turn, priority, attempts, losses, payload,"
            " error_code, error, chain, created_at, died_at)"
            " SELECT gen_random_uuid(), id, 'enrichment.run', 0, 0, 1, 0, $1, $2,"
            " 'it broke', '', created_at, created_at FROM run"
            " WHERE providers = '{}' AND cancelled_at IS NULL LIMIT 1 RETURNING id",
            "payload",
            "code",
        ),
        payload=payload,
        code=code,
    )
    return UUID(int=made.int)


class Outage:
    """Fails every task of one stage for good while it lasts; then the stage works."""

    def __init__(self, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lasts = False
        outage, kind = self, STAGES[stage]
        name = "work_batch" if kind.in_batches else "work"
        work = ANSWERS.get(stage) or getattr(kind, name)

        async def work_unless_down(self: Any, item: Any) -> Any:
            if outage.lasts:
                raise Permanent("down", code="test.down")
            return await work(self, item)

        monkeypatch.setattr(kind, name, work_unless_down)


async def find_two(stage: Any, item: Any) -> Any:
    """Answer a page with two people."""
    del stage
    value = FoundValue(
        field=FieldName.FIRST_NAME,
        value="Ann",
        source=item.run.provider,
        method="people.search",
        observed_at=SystemClock().now(),
        confidence=0.7,
        evidence_hash="a page",
    )
    people = tuple(FoundPerson(item.run.provider, uuid4().hex, (value,)) for _ in range(2))
    return Done(PeoplePage(people=people, total=2))


async def take_it(stage: Any, item: Any) -> Any:
    """Answer that the other side took a message."""
    del stage, item
    return Done(Receipt(remote_id="r-1"))


ANSWERS: Mapping[str, Any] = {"discovery.run": find_two, "message.send": take_it}


class Bench(NamedTuple):
    """Where a stage's work is started."""

    api: Client
    node: Node
    world: World
    icp_id: str

    async def publish(self, event: Event, run_id: UUID) -> None:
        async with self.node.publisher.transaction() as publication:
            await publication.publish([event], run_id=run_id)


Started = tuple[str, Callable[[], Awaitable[object]]]
"""A run at work, and what to ask when it has ended."""


async def score_lead(bench: Bench) -> Started:
    created = (await bench.api.post("/v1/leads", a_lead(bench.icp_id))).json

    async def result() -> object:
        lead = (await bench.api.get(f"/v1/leads/{created['leadId']}")).json
        return lead["status"], lead["failedCode"], lead["score"] and lead["score"]["band"]

    return created["runId"], result


async def draft(bench: Bench, *, autopilot: bool = False) -> Started:
    world = bench.world
    lead_id = await world.lead(email=f"{uuid4().hex}@acme.example", full_name=f"Ada {uuid4().hex}")
    run_id, icp_id = await world.run(), await world.icp(autopilot=autopilot)
    await bench.publish(LeadQualified(lead_id, icp_id, world.ids.new()), run_id)

    async def result() -> object:
        messages = (await bench.api.get(f"/v1/messages?runId={run_id}")).json["data"]
        return [(row["state"], row["reason"], row["intentState"]) for row in messages]

    return str(run_id), result


async def send(bench: Bench) -> Started:
    return await draft(bench, autopilot=True)


async def discover(bench: Bench) -> Started:
    body = {"icpId": bench.icp_id, "maxLeads": 10, "providers": [], "again": True}
    run = (await bench.api.post("/v1/discovery/runs", body)).json

    async def result() -> object:
        view = (await bench.api.get(f"/v1/discovery/runs/{run['runId']}")).json
        return view["state"], view["code"], view["leadCount"], view["pageCount"]

    return run["runId"], result


async def import_leads(bench: Bench) -> Started:
    staged = await upload(bench.api, a_file(f"t{uuid4().hex[:8]}"))
    await set_mapping(bench.api, staged, enrich=False)
    await bench.api.post(f"/v1/imports/{staged['id']}/start")

    async def result() -> object:
        view = (await bench.api.get(f"/v1/imports/{staged['id']}")).json
        return view["state"], view["code"], view["counts"]

    return staged["id"], result


async def tag_leads(bench: Bench) -> Started:
    created = (await bench.api.post("/v1/leads", a_lead(bench.icp_id))).json
    await scored(bench.api, created["leadId"])
    body = {"action": "tag", "tag": "hot", "ids": [created["leadId"]]}
    started = (await bench.api.post("/v1/leads/bulk", body)).json

    async def result() -> object:
        view = (await bench.api.get(f"/v1/bulk/{started['runId']}")).json
        lead = (await bench.api.get(f"/v1/leads/{created['leadId']}")).json
        return view["doneCount"], view["failedCount"], lead["tags"]

    return started["runId"], result


async def leave_alone(bench: Bench) -> Started:
    lead_id = await bench.world.lead(email=f"{uuid4().hex}@acme.example", full_name="Ada")
    run_id = await bench.world.run()
    await bench.publish(PersonClaimed(lead_id, "hunter"), run_id)

    async def result() -> object:
        lines = (await bench.api.get("/v1/suppressions?kind=lead&limit=100")).json["data"]
        return [line["reason"] for line in lines if line["hint"] == str(lead_id)]

    return str(run_id), result


SCENARIOS: Mapping[str, Callable[[Bench], Awaitable[Started]]] = {
    "imports.run": import_leads,
    "discovery.run": discover,
    "enrichment.run": score_lead,
    "features.compute": score_lead,
    "scoring.compute": score_lead,
    "message.generate": draft,
    "message.send": send,
    "suppressions.add": leave_alone,
    "bulk.run": tag_leads,
}
"""What each stage is part of; a new stage takes its own."""


@pytest.mark.parametrize("stage", STAGE_NAMES)
async def test_what_failed_for_good_ends_as_a_first_success_once_it_is_replayed(
    api: Client, node: Node, world: World, icp_id: str, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    bench, outage = Bench(api, node, world, icp_id), Outage(stage, monkeypatch)
    for module in ("stage", "service.outbox"):  # the node has no mail server, and needs none here
        path = f"leadflood.domain.sending.{module}.missing_settings"
        monkeypatch.setattr(path, lambda *_: ())
    run_id, result = await SCENARIOS[stage](bench)
    await wait_for_run(node, run_id)
    success = await result()

    outage.lasts = True
    run_id, result = await SCENARIOS[stage](bench)
    await wait_for_run(node, run_id)
    failure = await result()
    letters = (await api.get(f"/v1/admin/dead-letters?runId={run_id}")).json["data"]
    outage.lasts = False
    body = {"ids": [letter["id"] for letter in letters]}
    answer = (await api.post("/v1/admin/dead-letter-replays", body)).json
    await wait_for_run(node, run_id)

    assert [letter["stage"] for letter in letters] == [stage]
    assert answer["counts"] == {"queued": 1}
    assert failure != success
    assert await result() == success


async def wait_for_run(node: Node, run_id: str) -> None:
    """Wait until no job of a run is left."""
    with anyio.fail_after(10):
        while await runs.count_live(node.storage.db, UUID(run_id)):
            await REAL_TIME.sleep(0.01)
