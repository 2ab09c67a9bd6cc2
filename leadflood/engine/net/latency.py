"""Latency: how fast a provider answered this process lately, and how often it failed."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from leadflood.engine.clock import REAL_TIME

REMEMBERED = 500


class Latency(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last calls of this process; times None while there was none."""

    calls: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    most_ms: float | None


class LatencyRecorder:
    """The newest calls to one provider."""

    def __init__(self) -> None:
        self._last: deque[tuple[float, bool]] = deque(maxlen=REMEMBERED)

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Record how long the block takes and whether it fails; one given up has failed."""
        began, is_failure = REAL_TIME.monotonic(), True
        try:
            yield
            is_failure = False
        finally:
            self._last.append((REAL_TIME.monotonic() - began, is_failure))

    def snapshot(self) -> Latency:
        """Return the newest calls, summed up."""
        seconds = sorted(duration for duration, _ in self._last)
        return Latency(
            calls=len(seconds),
            failures=sum(is_failure for _, is_failure in self._last),
            p50_ms=_at(seconds, 0.5),
            p95_ms=_at(seconds, 0.95),
            most_ms=_at(seconds, 1.0),
        )


def _at(ordered: Sequence[float], ratio: float) -> float | None:
    if not ordered:
        return None
    index = min(len(ordered) - 1, int(ratio * len(ordered)))
    return round(ordered[index] * 1000, 2)
