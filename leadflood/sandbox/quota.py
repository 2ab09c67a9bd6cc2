"""Quota: calls counted against windows, as the provider does."""

import math
from collections import deque
from collections.abc import Sequence

import msgspec

from leadflood.sandbox.prices import Limit, QuotaWindowKind


class WindowUsage(msgspec.Struct, frozen=True):
    """The state of one window: how many calls it has had, and when it has room again."""

    limit: Limit
    used: int
    resets_in_seconds: float

    @property
    def left(self) -> int:
        """How many more calls it allows now."""
        return max(0, self.limit.calls - self.used)


class _Fixed:
    """A window that starts at multiples of its length since the epoch."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._number = -1.0
        self._used = 0

    def usage(self, now: float) -> WindowUsage:
        number, passed = divmod(now, self.limit.seconds)
        if number != self._number:
            self._number, self._used = number, 0
        return WindowUsage(self.limit, self._used, self.limit.seconds - passed)

    def count(self, now: float) -> None:
        self.usage(now)
        self._used += 1


class _Sliding:
    """Any stretch of time of the window's length."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._times: deque[float] = deque()

    def usage(self, now: float) -> WindowUsage:
        while self._times and self._times[0] <= now - self.limit.seconds:
            self._times.popleft()
        resets_in = self._times[0] + self.limit.seconds - now if self._times else 0.0
        return WindowUsage(self.limit, len(self._times), resets_in)

    def count(self, now: float) -> None:
        self._times.append(now)


class Quota:
    """All windows of one endpoint; a call counts in all of them, a refused one in none."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._windows = tuple(
            _Sliding(limit) if limit.kind is QuotaWindowKind.SLIDING else _Fixed(limit)
            for limit in limits
        )

    def usages(self, now: float) -> tuple[WindowUsage, ...]:
        """Return the state of every window at an instant (epoch seconds)."""
        return tuple(window.usage(now) for window in self._windows)

    def take(self, now: float) -> WindowUsage | None:
        """Count one call and return None, or return the full window that ends last."""
        full = [usage for usage in self.usages(now) if usage.used >= usage.limit.calls]
        if full:
            return max(full, key=lambda usage: usage.resets_in_seconds)
        for window in self._windows:
            window.count(now)
        return None


def whole_seconds(usage: WindowUsage) -> int:
    """Round a wait up, as Retry-After does."""
    return max(1, math.ceil(usage.resets_in_seconds))
