"""Counting calls against windows."""

from hypothesis import given, strategies as st
from leadflood.sandbox.prices import Limit, QuotaWindowKind
from leadflood.sandbox.quota import Quota

_START = 1_800_000_000.0


def test_a_fixed_window_starts_anew_at_its_edge() -> None:
    quota = Quota([Limit(2, 60)])

    late = [quota.take(_START + 59), quota.take(_START + 59.5), quota.take(_START + 59.9)]
    next_minute = [quota.take(_START + 60), quota.take(_START + 60.1)]

    assert late[:2] == [None, None]
    assert late[2] is not None
    assert 0 < late[2].resets_in_seconds < 0.2
    assert next_minute == [None, None]


def test_a_sliding_window_has_no_edge_to_use() -> None:
    quota = Quota([Limit(2, 60, QuotaWindowKind.SLIDING)])

    taken = [quota.take(_START + 59), quota.take(_START + 59.5)]
    refused = quota.take(_START + 60.5)

    assert taken == [None, None]
    assert refused is not None
    assert refused.resets_in_seconds == 58.5
    assert quota.take(_START + 119) is None


def test_a_refused_call_counts_in_no_window() -> None:
    quota = Quota([Limit(1, 1), Limit(2, 3_600)])

    quota.take(_START)
    refused = [quota.take(_START + 0.1) for _ in range(5)]

    assert all(refused)
    assert [usage.used for usage in quota.usages(_START + 0.2)] == [1, 1]


def test_no_windows_let_everything_through() -> None:
    quota = Quota([])

    assert all(quota.take(_START) is None for _ in range(1_000))
    assert quota.usages(_START) == ()


@given(
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=80),
    calls=st.integers(1, 5),
    kind=st.sampled_from(QuotaWindowKind),
)
def test_no_window_ever_takes_more_than_its_limit(
    gaps: list[float], calls: int, kind: QuotaWindowKind
) -> None:
    quota = Quota([Limit(calls, 10, kind)])
    now, taken = _START, []
    for gap in gaps:
        now += gap
        if quota.take(now) is None:
            taken.append(now)

    for moment in taken:
        same = [
            other
            for other in taken
            if (
                other // 10 == moment // 10
                if kind is QuotaWindowKind.FIXED
                else moment - 10 < other <= moment
            )
        ]
        assert len(same) <= calls
