"""The arithmetic of leased allowances: no window of any phase is ever passed."""

import bisect

import pytest
from hypothesis import given, strategies as st
from leadflood.engine.net.calls import LimitHint, Window, WindowKind
from leadflood.engine.net.gcra import (
    AllowanceState,
    CountedWindow,
    Lease,
    LeaseRequest,
    LimitFeedback,
    apply_feedback,
    cap_times,
    effective_windows,
    lease,
    margin_of,
)

START = 1_800_000_000.0
PACED = st.builds(
    Window,
    calls=st.integers(1, 900),
    seconds=st.sampled_from([1.0, 5.0, 10.0, 60.0]),
    kind=st.sampled_from([WindowKind.FIXED, WindowKind.SLIDING]),
)
COUNTED = st.builds(Window, calls=st.integers(1, 60), seconds=st.sampled_from([3600.0, 86400.0]))
GAPS = st.lists(st.floats(0.0, 3.0), min_size=5, max_size=60)


def spend(windows: list[Window], gaps: list[float], lateness: float) -> list[float]:
    """Lease as busy processes do and arrive at most as late as a moment may be used."""
    allowed, now, arrivals = AllowanceState(), START, []
    for turn, gap in enumerate(gaps):
        now += gap
        leased = lease(allowed, windows, LeaseRequest(count=50, now=now))
        arrivals += [at + leased.tolerance_seconds * lateness * (turn % 2) for at in leased.slots]
    return sorted(arrivals)


def most_within(arrivals: list[float], seconds: float) -> int:
    return max(
        (bisect.bisect_left(arrivals, at + seconds) - index for index, at in enumerate(arrivals)),
        default=0,
    )


@given(PACED, GAPS, st.floats(0.0, 1.0))
def test_no_span_of_a_windows_length_holds_more_than_its_calls(
    window: Window, gaps: list[float], lateness: float
) -> None:
    arrivals = spend([window], gaps, lateness)

    slack = window.seconds * margin_of(window, 0.0)
    if window.seconds == 1.0:  # its slack is smaller than any loop's jitter
        lateness = 0.0
        arrivals = spend([window], gaps, 0.0)

    assert slack > 0
    assert most_within(arrivals, window.seconds) <= window.calls


@given(st.integers(1, 50), st.integers(1, 20), GAPS, st.floats(0.0, 1.0))
def test_a_bucket_never_runs_dry(
    calls: int, capacity: int, gaps: list[float], lateness: float
) -> None:
    window = Window(calls, 1.0, WindowKind.BUCKET, capacity)
    arrivals = spend([window], gaps, lateness if capacity > 4 else 0.0)

    tokens, before = float(capacity), START
    for at in arrivals:
        tokens = min(capacity, tokens + (at - before) * calls) - 1
        before = at
        assert tokens > -0.001


@given(COUNTED, st.lists(st.floats(0.0, 4000.0), min_size=5, max_size=80))
def test_a_counted_window_of_unknown_phase_is_kept_at_every_phase(
    window: Window, gaps: list[float]
) -> None:
    arrivals = spend([window], gaps, 0.0)

    assert most_within(arrivals, window.seconds) <= window.calls


def test_a_counted_window_is_spent_as_fast_as_asked_for() -> None:
    leased = lease(AllowanceState(), [Window(100, 3600)], LeaseRequest(count=70, now=START))

    assert len(leased.slots) == 70
    assert leased.slots[-1] == START


def test_a_full_counted_window_says_when_it_has_room() -> None:
    allowed = AllowanceState()
    lease(allowed, [Window(10, 3600)], LeaseRequest(count=10, now=START))

    leased = lease(allowed, [Window(10, 3600)], LeaseRequest(count=1, now=START + 600))

    assert leased.slots == ()
    assert 3000 <= leased.again_seconds <= 3060 + 60


def test_an_allowance_far_ahead_is_not_leased() -> None:
    allowed = AllowanceState()
    window = [Window(2, 60)]
    first = lease(allowed, window, LeaseRequest(count=5, now=START))

    second = lease(allowed, window, LeaseRequest(count=5, now=START + 1))

    assert len(first.slots) == 1
    assert second.slots == ()
    assert second.again_seconds == pytest.approx(29, abs=1)


def test_the_used_part_stays_within_two_percent_of_the_limit() -> None:
    allowed, now, count = AllowanceState(), START, 0
    window = [Window(100, 10, WindowKind.SLIDING)]

    while now < START + 100:
        count += len(lease(allowed, window, LeaseRequest(count=9, now=now)).slots)
        now += 0.1

    assert 980 <= count <= 1000


class TestHeaders:
    def learn(self, *hints: LimitHint, windows: tuple[Window, ...] = ()) -> AllowanceState:
        allowed = AllowanceState()
        lease(allowed, windows, LeaseRequest(count=1, now=START))
        feedback = LimitFeedback(START, START + 0.04, hints, ends_probe=True)
        apply_feedback(allowed, windows, feedback, 0.0)
        return allowed

    def test_one_call_goes_first_where_nobody_knows_the_limit(self) -> None:
        allowed = AllowanceState()

        first = lease(allowed, (), LeaseRequest(count=9, now=START))
        second = lease(allowed, (), LeaseRequest(count=9, now=START + 1))

        assert (len(first.slots), first.is_probe) == (1, True)
        assert second.slots == ()

    def test_a_lost_first_call_is_made_again_later(self) -> None:
        allowed = AllowanceState()
        lease(allowed, (), LeaseRequest(count=9, now=START))

        again = lease(allowed, (), LeaseRequest(count=9, now=START + 31))

        assert again.is_probe

    def test_an_answer_without_limits_opens_the_lane(self) -> None:
        leased = lease(self.learn(), (), LeaseRequest(count=9, now=START + 1))

        assert len(leased.slots) == 9
        assert leased.is_open

    def test_the_first_answers_headers_are_the_limit(self) -> None:
        allowed = self.learn(LimitHint(60, 600, 599, 30.0))

        leased = lease(allowed, (), LeaseRequest(count=99, now=START + 1))

        assert leased.interval_seconds == pytest.approx(0.1005)

    def test_headers_never_raise_a_limit_above_spec(self) -> None:
        windows = (Window(10, 60),)
        allowed = self.learn(LimitHint(60, 600, 599, 30.0), windows=windows)

        assert effective_windows(allowed, windows) == [Window(10, 60)]

    def test_headers_lower_a_limit_below_spec(self) -> None:
        windows = (Window(600, 60),)
        allowed = self.learn(LimitHint(60, 60, 59, 30.0), windows=windows)

        assert effective_windows(allowed, windows) == [Window(60, 60)]

    def test_calls_of_others_are_missing_from_a_window_until_it_ends(self) -> None:
        windows = (Window(600, 60),)
        allowed = self.learn(LimitHint(60, 600, 50, 30.0), windows=windows)

        within = self.count(allowed, windows, START + 0.1, 30.0)
        after = self.count(allowed, windows, START + 31, 30.0)

        assert within <= 51
        assert after >= 290

    def test_an_empty_window_holds_until_it_ends(self) -> None:
        windows = (Window(600, 60),)
        allowed = self.learn(LimitHint(60, 600, 0, 30.0), windows=windows)

        assert self.count(allowed, windows, START + 0.1, 29.0) == 0
        assert self.count(allowed, windows, START + 30.1, 10.0) > 90

    def test_a_day_known_from_headers_ends_when_they_say_and_starts_full(self) -> None:
        windows = (Window(1000, 86400),)
        allowed = self.learn(LimitHint(86400, 1000, 3, 100.0), windows=windows)

        before = lease(allowed, windows, LeaseRequest(count=9, now=START + 50))
        empty = lease(allowed, windows, LeaseRequest(count=9, now=START + 60))
        after = lease(allowed, windows, LeaseRequest(count=900, now=START + 101))

        assert len(before.slots) == 3
        assert empty.again_seconds == pytest.approx(40, abs=1)
        assert len(after.slots) == 900

    def test_a_retry_after_holds_everything(self) -> None:
        windows = (Window(600, 60),)
        allowed = AllowanceState()
        apply_feedback(allowed, windows, LimitFeedback(START, START, held_seconds=7.0), 0.0)

        leased = lease(allowed, windows, LeaseRequest(count=5, now=START + 1))

        assert leased.slots == ()
        assert leased.again_seconds == pytest.approx(6, abs=0.5)

    def count(
        self, allowed: AllowanceState, windows: tuple[Window, ...], begin: float, seconds: float
    ) -> int:
        slots: list[float] = []
        now = begin
        while now < begin + seconds:
            leased: Lease = lease(allowed, windows, LeaseRequest(count=9, now=now))
            slots += leased.slots
            now += 0.1
        return sum(at < begin + seconds for at in slots)


def test_times_that_only_a_wrong_clock_can_have_written_are_lowered() -> None:
    day = CountedWindow(86_400.0, ends_at=10**9, used=3, slices=[(10**7, 2)])
    state = AllowanceState(
        next_at=10**9, held_until=10**9, slow_until=10**9, probe_until=10**9, counted=[day]
    )

    cap_times(state, (Window(600, 60), Window(1_000, 86_400)), 1_000.0, 30.0)

    assert (state.next_at, state.probe_until) == (1_060.0, 1_030.0)
    assert (state.held_until, state.slow_until) == (87_400.0, 87_400.0)
    assert (day.ends_at, day.slices) == (87_400.0, [(0, 2)])
