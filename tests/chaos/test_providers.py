"""The outside on a bad day."""

from pathlib import Path

import anyio
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query
from leadflood.engine.queue import runs
from leadflood.sandbox.faults import Fault, FaultProfile

from tests.support.chaos import (
    ChaosField,
    Counted,
    Invoice,
    Nursery,
    make_report,
    open_chaos_field,
)
from tests.support.pretend import Plan
from tests.support.statements import sql

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

WAITING = sql("SELECT count(*) FROM intent WHERE state = 'ready' AND code = 'waits_for_money'")
QUICK = Plan(times=10, people_count=4_000, slow_seconds=0.5, timeout_seconds=2.0)
WHY = Query("why", "SELECT DISTINCT last_error FROM job WHERE last_error IS NOT NULL", ())
BOUGHT = Query(
    "bought",
    "SELECT provider, unnest(subjects) AS subject FROM provider_call"
    " WHERE run_id = $1 AND operation NOT LIKE 'message.%' AND state = 'settled'"
    " AND settled_micros > 0",
    ("id",),
)
ASKED = Query(
    "asked",
    "SELECT state, code, asked_at FROM enrichment_record WHERE provider = 'apollo'"
    " ORDER BY asked_at",
    (),
)


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
        await field.set_faults({})
        await field.let_time_pass()
        await field.finish()

        reckoning = await make_report(field)
        assert reckoning.problems == ()
        assert reckoning.leads >= 45
        assert (await field.ask("counters", Counted)).faults


async def test_a_cap_holds_though_a_gateway_answers_for_work_that_was_done(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    plan = msgspec.structs.replace(
        QUICK,
        fault_rates={Fault.ACTED_5XX: 0.3},
        timeout_seconds=0.5,
        cap_micros=1_000_000,
    )
    async with open_chaos_field(nursery, database_url, tmp_path, plan) as field:
        run_id = await field.start_run(discovered=60, phones=10)
        await field.finish()

        reckoning = await make_report(field)
        invoices = await field.ask("invoices", list[Invoice])
        assert reckoning.problems == ()
        assert reckoning.lines["unresolved"] > 5
        assert sum(invoice.amount_micros for invoice in invoices) > 500_000

        # the run has ended, and what its cap kept goes once a person raises it
        await field.set_faults({})
        db = field.storage.db
        waiting_count = await db.fetch_value(WAITING)
        await runs.change_caps(db, run_id, None, None)
        messaging = field.storage.messaging(field.storage.producer())
        resumed_count = await messaging.waiting_sends.resume()
        await field.finish()

        assert resumed_count == waiting_count > 0
        assert await db.fetch_value(WAITING) == 0
        assert (await make_report(field)).problems == ()


async def test_the_breaker_opens_says_why_and_closes_again(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, QUICK) as field:
        await field.start_run(discovered=0, sure=40)
        await field.set_faults({Fault.SERVER_ERROR: 1.0}, "apollo", "hunter", "pdl")
        worker = await field.worker()
        await worker.hear("ready")

        reason = await _wait_for_reason(field)
        await field.set_faults({})
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


async def test_a_second_search_buys_nothing_about_the_people_it_knows(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, QUICK) as field:
        first_id = await field.start_run(discovered=40)
        await field.finish()
        second_id = await field.start_run(discovered=40)
        await field.finish()

        first, second = [
            {
                (row["provider"], row["subject"])
                for row in await field.storage.db.fetch(BOUGHT, id=id_)
            }
            for id_ in (first_id, second_id)
        ]
        assert first & second == set()
        assert {"apollo", "hunter", "pdl"} <= {provider for provider, _ in first}
