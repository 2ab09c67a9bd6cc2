import pytest
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.db.pool import Database
from leadflood.engine.queue import runs
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_a_run_says_what_its_work_waits_for_and_when_it_is_tried_again(
    database: Database,
) -> None:
    world = World(database)
    events = await world.approved(3)
    run_id = await world.run_of(events[0])
    reports = RunReports(database)
    for event in events:
        await world.job_row(await world.load_send(event), state=2)
    later = world.clock.now()
    await database.execute(
        sql("UPDATE job SET last_error = 'sending is held', run_at = $1", "at"), at=later
    )

    report = await reports.report(await runs.get(database, run_id))

    [wait] = report.waits
    assert (wait.stage, wait.count) == ("message.send", 3)
    assert (wait.reason, wait.again_at) == ("sending is held", later)
    assert report.run.state == "running"
