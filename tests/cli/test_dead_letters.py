from typing import Any
from uuid import UUID

import msgspec
import pytest
from leadflood.contracts.ports.sender import Receipt
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Unsure
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.messaging import World
from tests.support.statements import sql

RUN = UUID(int=0x70)


def bury_letter(
    on_database: OnDatabase,
    number: int,
    *,
    stage: str = "enrichment.run",
    code: str = "engine.bug",
    key: str | None = None,
    payload: str = '{"type":"leads.lead.created"}',
) -> UUID:
    letter_id = UUID(int=number)
    statement = sql(
        "INSERT INTO dead_letter (id, run_id, stage, key, turn, priority, attempts, losses,"
        " payload, error_code, error, chain, created_at, died_at)"
        " VALUES ($1, $2, $3, $4, 5, 1, 8, 0, $5, $6, 'it broke', 'the chain', now(), now())",
        "id",
        "run_id",
        "stage",
        "key",
        "payload",
        "code",
    )
    on_database(
        lambda database: database.execute(
            statement, id=letter_id, run_id=RUN, stage=stage, key=key, payload=payload, code=code
        )
    )
    return letter_id


def jobs(on_database: OnDatabase) -> list[Any]:
    async def read(database: Database) -> list[Any]:
        rows = await database.fetch(
            sql("SELECT id, run_id, stage, key, attempts, losses, state, payload FROM job")
        )
        return [dict(row.items()) for row in rows]

    return list(on_database(read))


def test_dead_letters_are_listed_by_filter_and_shown_whole(
    cli: Cli, on_database: OnDatabase
) -> None:
    bug = bury_letter(on_database, 1)
    bury_letter(on_database, 2, stage="scoring.compute", code="scoring.icp.not_found")

    listed = cli("dead-letters", "list", "--json").json
    filtered = cli("dead-letters", "list", "--code", "engine.bug", "--json").json
    result = cli("dead-letters", "show", bug)

    assert [entry["stage"] for entry in listed] == ["scoring.compute", "enrichment.run"]
    assert [UUID(entry["id"]) for entry in filtered] == [bug]
    assert "the chain" in result.out


def test_a_replay_keeps_run_stage_and_payload_and_starts_afresh(
    cli: Cli, on_database: OnDatabase
) -> None:
    letter = bury_letter(on_database, 1, key="k1")

    result = cli("dead-letters", "replay", letter, "--json")

    assert result.code == 0, result.err
    data = result.json
    [job] = jobs(on_database)
    assert data[0]["ending"] == "queued"
    assert UUID(data[0]["jobId"]) == job["id"] != letter
    assert (job["run_id"], job["stage"], job["key"]) == (RUN, "enrichment.run", "k1")
    assert (job["attempts"], job["losses"], job["state"]) == (0, 0, 0)
    assert job["payload"] == '{"type":"leads.lead.created"}'
    assert cli("dead-letters", "list", "--json").json == []


def test_dead_letters_are_replayed_by_filter(cli: Cli, on_database: OnDatabase) -> None:
    for number in range(1, 8):
        bury_letter(on_database, number)
    other_id = bury_letter(on_database, 9, code="provider.refused")

    result = cli("dead-letters", "replay", "--code", "engine.bug")

    assert result.code == 0, result.err
    assert len(jobs(on_database)) == 7
    remaining = cli("dead-letters", "list", "--json").json
    assert [UUID(entry["id"]) for entry in remaining] == [other_id]


def test_a_live_key_is_answered_already_queued(cli: Cli, on_database: OnDatabase) -> None:
    first = bury_letter(on_database, 1, key="same")
    second = bury_letter(on_database, 2, key="same")

    entry = cli("dead-letters", "replay", first, "--json")
    two = cli("dead-letters", "replay", second)

    data = entry.json
    assert data[0]["ending"] == "queued"
    assert two.code == 1
    assert "already_queued" in two.out
    assert len(jobs(on_database)) == 1
    remaining = cli("dead-letters", "list", "--json").json
    assert [UUID(entry["id"]) for entry in remaining] == [second]


def test_equal_keys_in_one_replay_are_queued_once(cli: Cli, on_database: OnDatabase) -> None:
    bury_letter(on_database, 1, key="same")
    bury_letter(on_database, 2, key="same")

    result = cli("dead-letters", "replay", "--all", "--json")

    data = result.json
    assert sorted(entry["ending"] for entry in data) == ["already_queued", "queued"]
    assert len(jobs(on_database)) == 1


def test_a_letter_of_a_cancelled_run_is_not_replayed(cli: Cli, on_database: OnDatabase) -> None:
    letter = bury_letter(on_database, 1)
    statement = sql(
        "INSERT INTO run (id, kind, state, created_at, cancelled_at)"
        " VALUES ($1, 'csv', 'cancelled', now(), now())",
        "id",
    )
    on_database(lambda database: database.execute(statement, id=RUN))

    result = cli("dead-letters", "replay", letter)

    assert result.code == 1
    assert "its run was cancelled" in result.out
    assert jobs(on_database) == []


@pytest.mark.parametrize(("is_known", "code"), [(True, 0), (False, 1)])
def test_a_send_that_may_have_arrived_is_not_replayed(
    cli: Cli, on_database: OnDatabase, *, is_known: bool, code: int
) -> None:
    async def end_a_send(database: Database) -> str:
        world = World(database)
        await world.release()
        [event] = await world.approved()
        job = await world.load_send(event)
        await world.authorize(job)
        error = None if is_known else Unsure("cut after the last byte")
        await world.record(job, error)
        await world.end_send(job, error or Receipt(remote_id="r"))
        return msgspec.json.encode(event).decode()

    payload = on_database(end_a_send)
    letter = bury_letter(
        on_database, 1, stage="message.send", code="engine.commit_failed", payload=payload
    )

    result = cli("dead-letters", "replay", letter)

    assert result.code == code
    assert ("sending unknown resolve" in result.out) is not is_known


def test_a_buried_job_marks_its_lead_as_failed(cli: Cli, on_database: OnDatabase) -> None:
    async def queue(database: Database) -> tuple[UUID, UUID]:
        lead_id = await World(database).lead()
        payload = f'{{"type":"leads.lead.created","lead_id":"{lead_id}","icp_id":"{lead_id}"}}'
        job_id = await database.fetch_value(
            sql(
                "INSERT INTO job (id, created_at, state, losses, stage, payload)"
                " VALUES (gen_random_uuid(), now(), 2, 9, 'enrichment.run', $1) RETURNING id",
                "payload",
            ),
            payload=payload,
        )
        return UUID(int=job_id.int), lead_id

    job_id, lead_id = on_database(queue)

    looped = cli("status", "--json").json
    buried = cli("dead-letters", "bury", job_id, "--json")
    again = cli("dead-letters", "bury", job_id)

    assert [UUID(entry["id"]) for entry in looped["crashLoops"]] == [job_id]
    assert buried.code == 0, buried.err
    data = buried.json
    assert data["errorCode"] == "engine.buried"
    failed = on_database(
        lambda database: database.fetch_value(
            sql("SELECT failed_code FROM lead WHERE id = $1", "id"), id=lead_id
        )
    )
    assert failed == "engine.buried"
    assert again.code == 1
    assert "no job" in again.err


def test_a_replay_without_ids_or_filter_is_refused(cli: Cli) -> None:
    assert cli("dead-letters", "replay").code == 2
    assert cli("dead-letters", "replay", UUID(int=1), "--all").code == 2
    assert cli("dead-letters", "replay", "no-id").code == 2
    assert cli("dead-letters", "replay", UUID(int=1)).code == 1
    assert cli("dead-letters", "show", UUID(int=1)).code == 1
    assert cli("dead-letters", "list", "--stage", "x").code == 2
