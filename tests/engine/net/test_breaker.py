"""The breaker: opens, cools down, tries with one call, closes."""

import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.breaker import Breaker, BreakerOpen, Settings

SETTINGS = Settings(failures=3, window_calls=10, cool_down_seconds=5.0, cool_down_cap_seconds=15.0)


def a_breaker() -> tuple[Breaker, ManualClock]:
    clock = ManualClock()
    return Breaker("acme", clock, SETTINGS), clock


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.record_result(is_failure=True)


def test_failures_in_a_row_open_it_and_say_for_how_long() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 3)
    clock.advance(1)

    with pytest.raises(BreakerOpen) as exc_info:
        breaker.check()

    assert exc_info.value.retry_after_seconds == 4.0


def test_a_success_in_between_keeps_it_closed() -> None:
    breaker, _ = a_breaker()
    fail(breaker, 2)
    breaker.record_result(is_failure=False)
    fail(breaker, 2)

    breaker.check()

    assert not breaker.is_open


def test_half_of_many_calls_failing_opens_it() -> None:
    breaker, _ = a_breaker()
    for number in range(10):
        breaker.record_result(is_failure=number % 2 == 0)

    breaker.record_result(is_failure=True)

    assert breaker.is_open


def test_after_the_cool_down_one_call_is_let_through() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 3)
    clock.advance(5)

    breaker.check()

    with pytest.raises(BreakerOpen):
        breaker.check()


def test_the_probes_success_closes_it() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 3)
    clock.advance(5)
    breaker.check()
    breaker.record_result(is_failure=False)

    breaker.check()

    assert not breaker.is_open


def test_the_probes_failure_doubles_the_cool_down_up_to_its_cap() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 3)

    waits = []
    for wait in (5, 10, 15, 15):
        clock.advance(wait)
        breaker.check()
        fail(breaker, 1)
        with pytest.raises(BreakerOpen) as exc_info:
            breaker.check()
        waits.append(exc_info.value.retry_after_seconds)

    assert waits == [10, 15, 15, 15]


def test_a_probe_that_was_never_sent_frees_its_place() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 3)
    clock.advance(5)
    breaker.check()

    breaker.abandon()

    breaker.check()


def test_calls_under_way_when_it_opened_do_not_lengthen_the_cool_down() -> None:
    breaker, clock = a_breaker()
    fail(breaker, 9)
    clock.advance(5)

    breaker.check()

    assert breaker.is_open
