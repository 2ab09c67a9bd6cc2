from typing import Any

from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.disk import DiskWatch, Settings as DiskSettings
from leadflood.engine.queue import repository, switches
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.statements import sql

STAGE = "enrichment.run"


def switch_states(on_database: OnDatabase) -> dict[str, str]:
    async def read(database: Database) -> dict[str, str]:
        return {
            name: row["state"] for name, row in (await repository.find_switches(database)).items()
        }

    return dict(on_database(read))


def queue_job(on_database: OnDatabase, state: int) -> None:
    statement = sql(
        "INSERT INTO job (id, created_at, state, stage, payload)"
        " VALUES (gen_random_uuid(), now(), $1, 'enrichment.run', '{}')",
        "state",
    )
    on_database(lambda database: database.execute(statement, state=state))


def test_a_stage_is_paused_and_resumed_for_all_nodes(cli: Cli, on_database: OnDatabase) -> None:
    paused = cli("stage", "pause", STAGE, "--reason", "a look", "--json")
    between = switch_states(on_database)
    resumed = cli("stage", "resume", STAGE)

    assert (paused.code, resumed.code) == (0, 0)
    assert between[f"stage:{STAGE}"] == "paused"
    assert f"stage:{STAGE}" not in switch_states(on_database)


def test_resuming_a_stage_that_is_not_paused_is_refused(cli: Cli) -> None:
    result = cli("stage", "resume", STAGE)

    assert result.code == 1
    assert "is not paused" in result.err


def test_a_drain_waits_until_no_job_is_in_flight(cli: Cli, on_database: OnDatabase) -> None:
    queue_job(on_database, state=0)

    idle = cli("stage", "drain", STAGE, "--json")
    queue_job(on_database, state=1)
    busy = cli("stage", "drain", STAGE, "--timeout", "0.1")

    data = idle.json
    assert (idle.code, data["running"]) == (0, 0)
    assert busy.code == 1
    assert "still has jobs in flight" in busy.err


def test_a_scale_is_a_switch_that_every_node_follows(cli: Cli, on_database: OnDatabase) -> None:
    scaled = cli("stage", "scale", STAGE, "7", "--json")
    between = switch_states(on_database)
    back = cli("stage", "scale", STAGE, "default")
    again = cli("stage", "scale", STAGE, "default")

    assert (scaled.code, back.code, again.code) == (0, 0, 0)
    assert between[f"scale:{STAGE}"] == "7"
    assert f"scale:{STAGE}" not in switch_states(on_database)
    assert "as before" in again.out


def test_wrong_arguments_are_refused_with_the_valid_ones(cli: Cli) -> None:
    for words, sentence in (
        (("stage", "pause", "enrich"), "discovery.run, enrichment.run"),
        (("stage", "scale", STAGE, "many"), "write a whole number"),
        (("stage", "scale", STAGE, "0"), "pause it"),
        (("stage", "scale", "scoring.compute", "3"), "whole batches"),
        (("provider", "off", "google"), "write one of apollo"),
        (("stage", "drain"), "STAGE"),
    ):
        result = cli(*words)

        assert result.code == 2, words
        assert sentence in result.err
        assert result.out == ""


def test_a_provider_is_switched_off_and_on(cli: Cli, on_database: OnDatabase) -> None:
    off = cli("provider", "off", "hunter", "--reason", "too slow", "--json")
    between = switch_states(on_database)
    on = cli("provider", "on", "hunter")

    assert (off.code, on.code) == (0, 0)
    assert between["provider:hunter"] == "off"
    assert "provider:hunter" not in switch_states(on_database)


async def test_a_node_applies_the_scale_it_reads(database: Database) -> None:
    class FakeRunner:
        def __init__(self) -> None:
            self.scales: list[int | None] = []

        def apply_pause(self, *, is_paused: bool) -> None:
            del is_paused

        def apply_scale(self, concurrency: int | None) -> None:
            self.scales.append(concurrency)

    runner: Any = FakeRunner()
    follower = switches.Switches(
        database, SystemClock(), {STAGE: runner}, DiskWatch(None, DiskSettings())
    )

    await switches.scale_stage(database, SystemClock(), STAGE, 5, "test", "")
    await follower.refresh()
    await switches.unscale_stage(database, STAGE)
    await follower.refresh()

    assert runner.scales == [5, None]
