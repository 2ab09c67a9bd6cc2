from hypothesis import given, strategies as st
from leadflood.engine.net.calls import Window, WindowKind
from leadflood.engine.net.overrides import (
    MOST_WINDOWS,
    NO_OVERRIDES,
    Overrides,
    WindowOverride,
    apply_overrides,
    find_problems,
    loosens,
)

BASE = {"search": (Window(100, 60.0), Window(1_000, 3_600.0)), "match": (Window(5, 1.0),)}
LIVE = st.builds(
    WindowOverride, st.integers(1, 2_000), st.sampled_from([1.0, 60.0, 3_600.0, 86_400.0])
)


@given(st.lists(LIVE, max_size=4, unique_by=lambda window: window.seconds))
def test_nothing_set_by_hand_allows_more_than_what_is_documented(
    live: list[WindowOverride],
) -> None:
    force = apply_overrides(BASE, Overrides(limits={"search": tuple(live)}))

    calls = {window.seconds: window.calls for window in force["search"]}
    assert all(calls[window.seconds] <= window.calls for window in BASE["search"])
    assert all(calls[window.seconds] <= window.calls for window in live)
    assert force["match"] == BASE["match"]


def test_a_bucket_s_burst_is_no_larger_than_its_calls() -> None:
    base = {"api": (Window(100, 60.0, WindowKind.BUCKET, capacity=50),)}

    [window] = apply_overrides(base, Overrides(limits={"api": (WindowOverride(10, 60.0),)}))["api"]

    assert window == Window(10, 60.0, WindowKind.BUCKET, capacity=10)


def test_a_limit_that_cannot_be_set_is_named_by_its_path() -> None:
    values = {
        "nothing": (WindowOverride(1, 60.0),),
        "search": (WindowOverride(101, 60.0), WindowOverride(0, 1.0)),
        "match": (WindowOverride(1, 1.0), WindowOverride(1, 1.0)),
    }

    problems = find_problems(BASE, values)

    assert [problem.path for problem in problems] == [
        "limits.nothing",
        "limits.search[0]",
        "limits.search[1]",
        "limits.match",
    ]
    assert find_problems(BASE, {"search": None}) == []
    many = tuple(WindowOverride(1, float(n)) for n in range(1, MOST_WINDOWS + 2))
    assert [problem.path for problem in find_problems(BASE, {"match": many})] == ["limits.match"]


def test_overrides_that_loosen_are_distinguished_from_those_that_tighten() -> None:
    capped = Overrides(day_cap_micros=5, limits={"search": (WindowOverride(10, 60.0),)})

    assert not loosens(NO_OVERRIDES, capped)
    assert loosens(capped, NO_OVERRIDES)
    assert loosens(capped, Overrides(day_cap_micros=6, limits=capped.limits))
    assert loosens(
        capped, Overrides(day_cap_micros=5, limits={"search": (WindowOverride(11, 60.0),)})
    )
    assert not loosens(
        capped, Overrides(day_cap_micros=4, limits={"search": (WindowOverride(9, 60.0),)})
    )
    assert loosens(NO_OVERRIDES, Overrides(breaker_resets=1))
