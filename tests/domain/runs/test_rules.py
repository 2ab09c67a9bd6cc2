import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.domain.runs.rules import cap_used_micros, progress_ratio
from leadflood.domain.runs.schemas import Funnel

COUNTS = st.integers(min_value=0, max_value=10**6)


def a_funnel(**over: int) -> Funnel:
    names = [field.name for field in msgspec.structs.fields(Funnel)]
    return Funnel(**(dict.fromkeys(names, 0) | over))


@pytest.mark.parametrize(
    ("funnel", "ratio"),
    [
        (a_funnel(), None),
        (a_funnel(found=4), 0.0),
        (a_funnel(found=4, scored=1, failed=2), 0.75),
        (a_funnel(found=4, scored=4), 1.0),
    ],
)
def test_progress_is_the_share_of_leads_that_reached_their_end(
    funnel: Funnel, ratio: float | None
) -> None:
    assert progress_ratio(funnel, is_running=True) == ratio


@given(COUNTS, COUNTS)
def test_a_run_that_has_ended_is_whole(found: int, scored: int) -> None:
    assert progress_ratio(a_funnel(found=found, scored=scored), is_running=False) == 1.0


@given(COUNTS, COUNTS, COUNTS)
def test_open_money_counts_against_the_cap(spent: int, reserved: int, unresolved: int) -> None:
    funnel = a_funnel(spent_micros=spent, reserved_micros=reserved, unresolved_micros=unresolved)

    assert cap_used_micros(funnel) == spent + reserved + unresolved
