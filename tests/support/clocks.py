"""Clocks that tests run on."""

from leadflood.engine.clock import SystemClock
from typing_extensions import override


class HurriedClock(SystemClock):
    """A clock by which so many seconds pass between two looks."""

    def __init__(self, step_seconds: float) -> None:
        super().__init__()
        self._step_seconds = step_seconds
        self._seconds = 0.0

    @override
    def monotonic(self) -> float:
        self._seconds += self._step_seconds
        return self._seconds
