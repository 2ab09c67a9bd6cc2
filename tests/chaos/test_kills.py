import random
from pathlib import Path

import pytest
from leadflood.sandbox.faults import Fault

from tests.chaos.kills import ANSWERING, kill_often
from tests.support.chaos import Nursery, make_report, open_chaos_field
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

SLOW_ENOUGH = Plan(
    times=1,
    people_count=12_000,
    timeout_seconds=2.0,
    latency_seconds={
        "apollo": 0.1,
        "hunter": 0.1,
        "pdl": 0.1,
        "openai": 0.1,
        "trengo": 0.1,
        "smtp": 0.02,
    },
)


async def test_ten_kills_lose_nothing_and_send_nothing_twice(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, SLOW_ENOUGH) as field:
        await field.set_faults({Fault.ACTED_5XX: 0.02}, *ANSWERING)
        await field.start_run(discovered=160, phones=40)

        kills = await kill_often(field, 10, random.Random(3))  # noqa: S311 - when to kill, no secret
        await field.finish()

        reckoning = await make_report(field)
        assert reckoning.problems == ()
        assert len(kills) == 10
        assert sum(kill.open_calls > 0 for kill in kills) >= 3
        assert reckoning.leads >= 190
        assert reckoning.channels.keys() == {"email", "whatsapp"}
        assert reckoning.accepted_ratio >= 0.95
