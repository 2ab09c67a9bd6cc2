"""Several nodes on one database, and a person who says stop."""

import signal
from datetime import datetime
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query

from tests.support.chaos import ChaosField, Child, Nursery, make_report, open_chaos_field
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

TWO = Plan(
    times=2,
    people_count=4_000,
    latency_seconds={"apollo": 0.1, "openai": 0.1, "trengo": 0.1, "smtp": 0.02},
    dead_after_seconds=2.0,
)
SLOW_SENDS = Plan(times=10, people_count=4_000, latency_seconds={"smtp": 2.0, "trengo": 2.0})
SHARES = Query("shares", "SELECT node_id, count(*) FROM provider_call GROUP BY node_id", ())
READY = Query("ready", "SELECT count(*) FROM intent WHERE run_id = ANY ($1::uuid[])", ("run_ids",))
END_OPEN = Query(  # what the server does by itself after 30 s
    "end_open",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    " AND clock_timestamp() - state_change > interval '0.2 s'",
    (),
)
INTENT_OF = Query(
    "intent_of",
    "SELECT line.id AS line_id, intent.id AS intent_id FROM provider_call AS line"
    " JOIN intent ON intent.job_id = line.job_id WHERE line.operation = 'message.send'",
    (),
)


class Charge(msgspec.Struct, frozen=True):
    at: datetime
    provider: str
    reference: str


async def test_of_two_nodes_one_is_killed_and_the_other_finishes_everything(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, TWO) as field:
        await field.start_run(discovered=70, phones=10)
        killed = await field.worker()
        await killed.hear("ready")
        second = await field.worker()
        await second.hear("ready")
        await REAL_TIME.sleep(1.0)

        killed.kill()
        await killed.wait()
        await field.after_a_kill(is_alone=False)
        await second.hear("ended")

        reckoning = await make_report(field)
        shares = {row[0]: row[1] for row in await field.storage.db.fetch(SHARES)}
        assert reckoning.problems == ()
        assert reckoning.leads >= 70
        assert len(shares) == 2
        assert "engine.node.evicted" in second.log()


@pytest.mark.long
async def test_a_node_that_slept_and_was_buried_starts_anew_and_nothing_is_done_twice(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, TWO) as field:
        await field.start_run(discovered=400, phones=10)
        sleeper = await field.worker()
        await sleeper.hear("ready")
        second = await field.worker()
        await second.hear("ready")
        await REAL_TIME.sleep(0.4)  # in the middle: what it holds keeps the run open

        sleeper.kill(signal.SIGSTOP)
        await field.after_a_kill(is_alone=False)
        await _wait_for_burial(field, second)
        sleeper.kill(signal.SIGCONT)
        await sleeper.hear("ended")
        await second.hear("ended")

        reckoning = await make_report(field)
        assert reckoning.problems == ()
        assert reckoning.leads >= 350
        assert "engine.node.restarting" in sleeper.log()


async def test_after_hold_has_answered_only_what_it_listed_arrives(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, SLOW_SENDS) as field:
        db, sending = field.storage.db, field.storage.messaging(field.storage.producer()).sending
        async with db.transaction() as tx:
            await sending.hold(tx, "test", "until there is a crowd")
        await field.start_run(discovered=130, phones=8)
        worker = await field.worker()
        await _wait_for_intents(field, 100)
        async with db.transaction() as tx:
            await sending.release(tx, "test", "go")
        await REAL_TIME.sleep(1.0)

        async with db.transaction() as tx:
            status = await sending.hold(tx, "test", "stop")
        held_at = field.storage.clock.now()
        with anyio.fail_after(30):
            while (await sending.status()).sending:
                await REAL_TIME.sleep(0.1)

        listed = {view.id for view in status.sending}
        late = await _arrived_after(field, held_at)
        assert len(listed) >= 10
        assert late <= listed

        async with db.transaction() as tx:
            await sending.release(tx, "test", "go on")
        await worker.hear("ended")
        reckoning = await make_report(field)
        assert reckoning.problems == ()
        assert reckoning.intents["accepted"] >= 100


async def _wait_for_burial(field: ChaosField, witness: Child) -> None:
    """Wait until the sleeper is taken for dead; a transaction it slept in is ended for it.

    A statement whose answer nobody takes ends only by its time-out of 60 s.
    """
    with anyio.fail_after(90):
        while "engine.node.evicted" not in witness.log():
            await field.storage.db.execute(END_OPEN)
            await REAL_TIME.sleep(0.5)


async def _wait_for_intents(field: ChaosField, count: int) -> None:
    with anyio.fail_after(60):
        while await field.storage.db.fetch_value(READY, run_ids=field.run_ids) < count:
            await REAL_TIME.sleep(0.05)


async def _arrived_after(field: ChaosField, instant: datetime) -> set[UUID]:
    intents = {row[0]: row[1] for row in await field.storage.db.fetch(INTENT_OF)}
    charges = await field.ask("invoices", list[Charge])
    return {
        intents[UUID(charge.reference)]
        for charge in charges
        if charge.provider in {"smtp", "trengo"} and charge.at > instant
    }
