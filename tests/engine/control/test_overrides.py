import msgspec
from leadflood.engine.control.overrides import with_breaker_closed, with_caps, with_limits
from leadflood.engine.control.schemas import BudgetChange, Live, ProviderChange
from leadflood.engine.net.overrides import Overrides, WindowOverride
from msgspec import UNSET

SET = Overrides(
    limits={"search": (WindowOverride(3, 60.0),), "match": (WindowOverride(1, 1.0),)},
    day_cap_micros=5,
    month_cap_micros=50,
)


def test_what_a_change_leaves_out_stays() -> None:
    assert with_limits(SET, UNSET) == SET
    assert with_caps(SET, ProviderChange()) == SET


def test_a_limit_that_is_null_goes_back_alone() -> None:
    after = with_limits(SET, {"search": None})

    assert after.limits == {"match": (WindowOverride(1, 1.0),)}


def test_limits_that_are_null_go_back_together() -> None:
    assert with_limits(SET, None).limits == {}


def test_a_limit_is_set_beside_the_others() -> None:
    after = with_limits(SET, {"search": [Live(calls=2, seconds=60.0)]})

    assert after.limits == {**SET.limits, "search": (WindowOverride(2, 60.0),)}


def test_a_cap_is_set_and_another_goes_back() -> None:
    after = with_caps(SET, BudgetChange(day_cap_micros=7, month_cap_micros=None))

    assert (after.day_cap_micros, after.month_cap_micros) == (7, None)


def test_a_breaker_is_closed_once_more_and_nothing_else_changes() -> None:
    after = with_breaker_closed(SET)

    assert after == msgspec.structs.replace(SET, breaker_resets=1)
