"""The circuit breaker: a provider that keeps failing is left alone, then tried with one call."""

from collections import deque

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.errors import Throttled


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When it opens and for how long; the cool-down doubles while the probe keeps failing.

    It opens after `failures` in a row, or when `failure_ratio` of the last `window_calls` failed.
    """

    failures: int = 8
    failure_ratio: float = 0.5
    window_calls: int = 40
    cool_down_seconds: float = 5.0
    cool_down_cap_seconds: float = 120.0


DEFAULTS = Settings()


class BreakerOpen(Throttled):
    """The provider failed too often; it is tried again after the cool-down."""

    code = "net.breaker_open"


class BreakerState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A breaker on this node as operators see it.

    `reason` is the code of the last failure, empty when there was none; `openSeconds` how long it
    has been open and `retryInSeconds` when one call is let through, both None while it is closed.
    """

    is_open: bool
    reason: str
    failures_in_a_row: int
    open_seconds: float | None
    retry_in_seconds: float | None


class Breaker:
    """One provider's. Time is real time: a broken line does not mend faster on a jumping clock."""

    def __init__(self, provider: str, clock: Clock, settings: Settings = DEFAULTS) -> None:
        self._provider = provider
        self._clock = clock
        self._settings = settings
        self._in_a_row = 0
        self._last: deque[bool] = deque(maxlen=settings.window_calls)
        self._opened_at: float | None = None
        self._cool_down_seconds = settings.cool_down_seconds
        self._probe_since: float | None = None
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for the probe."""
        return self._opened_at is not None

    def check(self) -> None:
        """Refuse while open; after the cool-down let one call through.

        Raises: BreakerOpen.
        """
        if self._opened_at is None:
            return
        now = self._clock.monotonic()
        rest_seconds = self._opened_at + self._cool_down_seconds - now
        is_probing = (
            self._probe_since is not None and now - self._probe_since < self._cool_down_seconds
        )
        if rest_seconds > 0 or is_probing:
            raise BreakerOpen(
                f"{self._provider} failed {self._in_a_row} times in a row; it is left alone"
                f" for {max(0.0, rest_seconds):.0f} s.",
                max(rest_seconds, 1.0),
            )
        self._probe_since = now

    def snapshot(self) -> BreakerState:
        """Return its state and why."""
        now = self._clock.monotonic()
        opened_at = self._opened_at
        open_seconds = None if opened_at is None else round(now - opened_at, 1)
        rest = None if opened_at is None else opened_at + self._cool_down_seconds - now
        return BreakerState(
            is_open=self.is_open,
            reason=self._reason,
            failures_in_a_row=self._in_a_row,
            open_seconds=open_seconds,
            retry_in_seconds=None if rest is None else round(max(0.0, rest), 1),
        )

    def reset(self) -> None:
        """Close it by hand; it opens again if the failures go on."""
        self._in_a_row = 0
        self._probe_since = None
        self._close()

    def record_result(self, *, is_failure: bool, reason: str = "") -> None:
        """Record how a call ended; `reason` is the code of a failure."""
        self._probe_since = None
        self._reason = reason if is_failure else self._reason
        self._last.append(is_failure)
        if not is_failure:
            self._in_a_row = 0
            if self._opened_at is not None:
                self._close()
            return
        self._in_a_row += 1
        if self._opened_at is not None:
            self._open_again()
        elif self._is_too_much():
            self._opened_at = self._clock.monotonic()

    def abandon(self) -> None:
        """Record that a call let through was not made after all."""
        self._probe_since = None

    def _is_too_much(self) -> bool:
        if self._in_a_row >= self._settings.failures:
            return True
        full = len(self._last) == self._last.maxlen
        return full and sum(self._last) >= self._settings.failure_ratio * len(self._last)

    def _open_again(self) -> None:
        now = self._clock.monotonic()
        if self._opened_at is not None and now < self._opened_at + self._cool_down_seconds:
            return  # a call that was under way when it opened
        self._opened_at = now
        self._cool_down_seconds = min(
            self._settings.cool_down_cap_seconds, 2 * self._cool_down_seconds
        )

    def _close(self) -> None:
        self._opened_at = None
        self._cool_down_seconds = self._settings.cool_down_seconds
        self._last.clear()
