"""Overrides: limits, caps and a breaker that operators set while a provider runs. Pure.

SPEC and settings stay the ceiling of every window they name: a live limit only lowers it. A plan
that allows more is written in the settings (`providers.<name>.limits`), beside its key.
"""

from collections.abc import Mapping, Sequence

import msgspec

from leadflood.engine.errors import FieldProblem
from leadflood.engine.net.calls import Window, WindowKind

MOST_SECONDS = 31 * 86_400.0
MOST_WINDOWS = 5
Limits = Mapping[str, tuple[Window, ...]]


class WindowOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit set by hand: `calls` per `seconds`."""

    calls: int
    seconds: float


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides set by hand for a provider, or, with caps alone, for all of them.

    A cap None is that of the settings. `breaker_resets` counts how often its breaker was closed.
    """

    limits: dict[str, tuple[WindowOverride, ...]] = {}
    day_cap_micros: int | None = None
    month_cap_micros: int | None = None
    breaker_resets: int = 0


NO_OVERRIDES = Overrides()


def apply_overrides(base: Limits, overrides: Overrides) -> dict[str, tuple[Window, ...]]:
    """Join what SPEC and settings say with what is set by hand: the lower of both.

    A window that only the operator names is kept too: it can only hold calls back.
    """
    return {
        name: _lowered(windows, overrides.limits.get(name, ())) for name, windows in base.items()
    }


def find_problems(
    base: Limits, requested: Mapping[str, Sequence[WindowOverride] | None]
) -> list[FieldProblem]:
    """Return what keeps requested limits from being set; None takes a limit's override back."""
    problems: list[FieldProblem] = []
    for name, windows in requested.items():
        path = f"limits.{name}"
        if name not in base:
            known = ", ".join(base) or "none"
            problems.append(FieldProblem(path, f"there is no such limit; known are {known}"))
        elif windows is not None:
            problems += [
                FieldProblem(f"{path}[{at}]", problem)
                for at, window in enumerate(windows)
                if (problem := _problem(window, base[name]))
            ]
            problems += _problems_of_all(path, windows)
    return problems


def loosens(before: Overrides, after: Overrides) -> bool:
    """Whether calls that had to wait may go on now."""
    caps = (
        (before.day_cap_micros, after.day_cap_micros),
        (before.month_cap_micros, after.month_cap_micros),
    )
    if any(old is not None and (new is None or new > old) for old, new in caps):
        return True
    if after.breaker_resets > before.breaker_resets:
        return True
    return any(
        window.seconds not in (left := _calls_by_window(after.limits.get(name, ())))
        or left[window.seconds] > window.calls
        for name, windows in before.limits.items()
        for window in windows
    )


def _calls_by_window(windows: Sequence[WindowOverride]) -> dict[float, int]:
    return {window.seconds: window.calls for window in windows}


def _problems_of_all(path: str, windows: Sequence[WindowOverride]) -> list[FieldProblem]:
    if len(windows) > MOST_WINDOWS:
        return [FieldProblem(path, f"name at most {MOST_WINDOWS} windows")]
    if len({window.seconds for window in windows}) < len(windows):
        return [FieldProblem(path, "name each window once")]
    return []


def _problem(window: WindowOverride, base: Sequence[Window]) -> str:
    if window.calls < 1:
        return "write at least one call; to ask nothing any more, set enabled to false"
    if not 0 < window.seconds <= MOST_SECONDS:
        return f"write seconds above 0, up to {MOST_SECONDS:g}"
    for limit in base:
        if limit.seconds == window.seconds and window.calls > limit.calls:
            return (
                f"is above the {limit.calls} calls per {limit.seconds:g} s that are documented or"
                " set: a plan that allows more is written in the settings"
            )
    return ""


def _lowered(base: Sequence[Window], requested: Sequence[WindowOverride]) -> tuple[Window, ...]:
    live = _calls_by_window(requested)
    joined = [_lower(window, live.pop(window.seconds, window.calls)) for window in base]
    joined += [Window(calls, seconds, WindowKind.SLIDING) for seconds, calls in live.items()]
    return tuple(joined)


def _lower(window: Window, calls: int) -> Window:
    if calls >= window.calls:
        return window
    capacity = None if window.capacity is None else min(window.capacity, calls)
    return msgspec.structs.replace(window, calls=calls, capacity=capacity)
