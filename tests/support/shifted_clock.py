"""A machine whose clock is wrong."""

from datetime import datetime, timedelta

from leadflood.engine.clock import SystemClock
from typing_extensions import override


class ShiftedClock(SystemClock):
    """The machine's time, so many seconds ahead; only the time of day is wrong."""

    def __init__(self, ahead_seconds: float = 0.0) -> None:
        self.ahead_seconds = ahead_seconds

    @override
    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_seconds)
