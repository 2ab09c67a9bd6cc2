from pathlib import Path

import pytest

from tests.chaos.points import SMALL, SOME, USUAL, crash_at_each, start_small_run
from tests.support.chaos import Nursery, make_report, open_chaos_field

pytestmark = [pytest.mark.chaos, pytest.mark.pg]


async def test_a_run_passes_every_named_moment_and_no_other(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, SMALL) as field:
        await start_small_run(field, 0, claimed=1)

        passed = await field.finish()

        assert set(passed) == set(USUAL)
        assert (await make_report(field)).problems == ()


async def test_a_process_that_dies_at_a_named_moment_loses_nothing(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    """Some of them; `python -m tests.chaos.points` dies at each."""
    async with open_chaos_field(nursery, database_url, tmp_path, SMALL) as field:
        await crash_at_each(field, SOME)
        await field.finish()

        reckoning = await make_report(field)
        assert reckoning.problems == ()
        assert reckoning.leads >= 3 * len(SOME)
