"""What the demo says of its own numbers."""

import msgspec
import pytest
from leadflood.cli.demo.command import DemoOptions, list_problems
from leadflood.cli.demo.outcome import DemoOutcome, LeadCounts, SendCounts
from leadflood.cli.demo.progress import RunTimes
from leadflood.cli.demo.world import WorldOptions
from leadflood.domain.runs.schemas import Funnel

FUNNEL = Funnel(**dict.fromkeys(Funnel.__struct_fields__, 0))
OUTCOME = DemoOutcome(
    funnel=FUNNEL,
    leads=LeadCounts(10, 10, 10, 9, 0),
    sends=SendCounts(intended=9, accepted=6, duplicates=0, missing=0, unknown=3),
    times=RunTimes(1.0, 2.0),
    ledger_micros=1,
    invoiced_micros=1,
    charged_enrichers=2,
    lines=1,
    invoices=1,
    unresolved=0,
    mismatches=(),
)
OPTIONS = DemoOptions(
    leads=10,
    world=WorldOptions(seed=7, faults="none"),
    as_json=False,
    serve=False,
    keep=True,
    started_at=0.0,
)


def test_sends_that_a_kill_left_in_doubt_are_no_fault_of_the_demo_that_goes_on() -> None:
    lost = msgspec.structs.replace(OUTCOME, sends=SendCounts(9, 5, 0, 0, 3))
    not_killed = msgspec.structs.replace(OPTIONS, keep=False)

    assert list_problems(OUTCOME, OPTIONS) == []
    assert list_problems(lost, OPTIONS) == ["5 of 9 sends accepted"]
    assert list_problems(OUTCOME, not_killed) == ["6 of 9 sends accepted"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_message_that_arrived_twice_is_a_fault(is_kept: bool) -> None:  # noqa: FBT001
    twice = msgspec.structs.replace(OUTCOME, sends=SendCounts(9, 9, 1, 0, 0))
    options = msgspec.structs.replace(OPTIONS, keep=is_kept)

    assert list_problems(twice, options) == ["1 messages arrived twice"]
