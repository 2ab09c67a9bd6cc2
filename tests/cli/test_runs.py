from uuid import UUID

import pytest
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import CapSpent
from leadflood.engine.queue import runs
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.messaging import World
from tests.support.statements import sql

CAP = 5_000_000


@pytest.fixture
def run_id(on_database: OnDatabase) -> UUID:
    """A run whose cap is spent, with a message that waits for money."""
    run_ids: list[UUID] = []

    async def wait(database: Database) -> None:
        world = World(database)
        await world.release()
        [event] = await world.approved()
        run_id = await world.run_of(event)
        await runs.change_caps(database, run_id, CAP, None)
        world.sender.fails_with = CapSpent("", scope=f"run:{run_id}", needed_micros=CAP + 1)
        job = await world.load_send(event)
        await world.end_send(job, await world.send.work(job.input))
        await database.execute(sql("UPDATE intent SET latest_useful_at = '2100-01-01'"))
        run_ids.append(run_id)

    on_database(wait)
    return run_ids[0]


def test_a_run_shows_what_it_waits_for_and_its_cap_is_raised(cli: Cli, run_id: UUID) -> None:
    advice = f"`leadflood runs cap {run_id}`"

    shown, status, sending = cli("runs", "show", run_id), cli("status"), cli("sending", "status")
    too_low = cli("runs", "cap", run_id, "5", "--json")
    raised = cli("runs", "cap", run_id, "25", "--lead", "none")
    after = cli("runs", "show", run_id, "--json")

    for result in (shown, status, sending):
        assert advice in result.out, result.err
    assert "waits: 1 of message.send" in shown.out
    assert too_low.json["resumedCount"] == 0
    assert "at most 25" in raised.out
    assert "1 message that waited for it go on" in raised.out
    assert (after.json["run"]["cap_micros"], after.json["waits"]) == (25_000_000, [])


@pytest.mark.parametrize("money", [(), ("-1",), ("much",), ("--lead", "some")])
def test_a_cap_that_is_no_amount_of_money_is_refused(
    cli: Cli, run_id: UUID, money: tuple[str, ...]
) -> None:
    refused = cli("runs", "cap", run_id, *money)

    assert refused.code == 2


def test_a_run_that_is_not_there_is_said_so(cli: Cli) -> None:
    assert cli("runs", "show", UUID(int=1)).code == 1
    assert cli("runs", "cap", UUID(int=1), "none").code == 1
