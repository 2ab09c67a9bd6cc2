"""The overrides of a provider after a change. Pure."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.engine.control.schemas import BudgetChange, Live, ProviderChange
from leadflood.engine.net.overrides import Overrides, WindowOverride

LimitChanges = Mapping[str, Sequence[Live] | None] | UnsetType | None


def with_limits(overrides: Overrides, changes: LimitChanges) -> Overrides:
    """Set limits: one null goes back to the settings, all null all of them; UNSET stays."""
    if changes is UNSET:
        return overrides
    if changes is None:
        return msgspec.structs.replace(overrides, limits={})
    limits = {**overrides.limits}
    for name, windows in changes.items():
        if windows:
            limits[name] = to_windows(windows)
        else:
            limits.pop(name, None)
    return msgspec.structs.replace(overrides, limits=limits)


def with_caps(overrides: Overrides, change: ProviderChange | BudgetChange) -> Overrides:
    """Set caps: null goes back to the settings, UNSET stays."""
    day, month = change.day_cap_micros, change.month_cap_micros
    return msgspec.structs.replace(
        overrides,
        day_cap_micros=overrides.day_cap_micros if day is UNSET else day,
        month_cap_micros=overrides.month_cap_micros if month is UNSET else month,
    )


def with_breaker_closed(overrides: Overrides) -> Overrides:
    """Count another closing of the breaker by hand; nodes close theirs when they see it."""
    return msgspec.structs.replace(overrides, breaker_resets=overrides.breaker_resets + 1)


def to_windows(windows: Sequence[Live]) -> tuple[WindowOverride, ...]:
    """Return windows as they are stored."""
    return tuple([WindowOverride(window.calls, window.seconds) for window in windows])
