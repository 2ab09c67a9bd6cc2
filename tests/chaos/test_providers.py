"""The outside on a bad day."""

from pathlib import Path

import anyio
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query
from leadflood.sandbox.faults import Fault, FaultInjector, FaultProfile

from tests.support.chaos import ChaosField, ChaosReport, Nursery, make_report, open_chaos_field
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

QUICK = Plan(times=10, people_count=4_000, slow_seconds=0.5, timeout_seconds=2.0)
WHY = Query("why", "SELECT DISTINCT last_error FROM job WHERE last_error IS NOT NULL", ())
ASKED = Query(
    "asked",
    "SELECT state, code, asked_at FROM enrichment_record WHERE provider = 'apollo'"
    " ORDER BY asked_at",
    (),
)


class Counted(msgspec.Struct, frozen=True):
    faults: dict[str, dict[str, int]]


def doubts_of(counts: Counted) -> int:
    """Count the faults after which nobody can know what became of a send."""
    harmless = {Fault.THROTTLED.value, Fault.THROTTLED_BARE.value, Fault.SLOW.value}
    return sum(
        count
        for provider in ("smtp", "trengo")
        for fault, count in counts.faults.get(provider, {}).items()
        if fault not in harmless
    )


async def without_doubts(field: ChaosField, reckoning: ChaosReport) -> list[str]:
    """Leave out the sends in doubt where the world has caused as many doubts."""
    doubts = [line for line in reckoning.problems if line.startswith("unknown without a reason")]
    assert len(doubts) <= doubts_of(await field.ask("counters", Counted))
    return [line for line in reckoning.problems if line not in doubts]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(FaultProfile.SLOW, marks=pytest.mark.long),
        FaultProfile.FLAKY,
        FaultProfile.HOSTILE,
    ],
)
async def test_on_a_bad_day_nothing_is_lost(
    faults: FaultProfile, nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    plan = msgspec.structs.replace(QUICK, faults=faults)
    async with open_chaos_field(nursery, database_url, tmp_path, plan) as field:
        await field.start_run(discovered=50, phones=8)
        worker = await field.worker()
        await worker.hear("ready")
        await REAL_TIME.sleep(3.0)

        worker.kill()
        await worker.wait()
        await field.after_a_kill()
        await field.ask("faults", FaultInjector, "POST", FaultInjector())
        await field.let_time_pass()
        await field.finish()

        reckoning = await make_report(field)
        assert await without_doubts(field, reckoning) == []
        assert reckoning.leads >= 45
        assert (await field.ask("counters", Counted)).faults


async def test_the_breaker_opens_says_why_and_closes_again(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, QUICK) as field:
        down = FaultInjector(rates={Fault.SERVER_ERROR: 1.0}, providers=("apollo", "hunter", "pdl"))
        await field.start_run(discovered=0, sure=40)
        await field.ask("faults", FaultInjector, "POST", down)
        worker = await field.worker()
        await worker.hear("ready")

        reason = await _wait_for_reason(field)
        await field.ask("faults", FaultInjector, "POST", FaultInjector())
        await worker.hear("ended")

        reckoning = await make_report(field)
        rows = await field.storage.db.fetch(ASKED)
        assert "times in a row; it is left alone for" in reason
        assert reckoning.problems == ()
        assert any(row["state"] == "COMPLETED" for row in rows)  # others may have been quicker


async def _wait_for_reason(field: ChaosField) -> str:
    with anyio.fail_after(30):
        while True:
            for row in await field.storage.db.fetch(WHY):
                if "left alone" in row[0]:
                    return str(row[0])
            await REAL_TIME.sleep(0.05)
