"""Metrics of a stage's actors. Updated per batch where it can be: a job costs nanoseconds here."""

from bisect import bisect_left
from collections.abc import Sequence

LATENCY_BUCKETS_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Buckets:
    """A histogram in Prometheus' sense, without a lock: one loop writes it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class StageMetrics:
    """Counters of one stage on this node; read by `/metrics` and `leadflood status`."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.completed = 0
        self.failed = 0
        self.postponed = 0
        self.lost_claims = 0
        self.restarts = 0
        self.in_flight = 0
        self.last_error = ""
        self.work_seconds = Buckets(LATENCY_BUCKETS_SECONDS)
        self.commit_batch = Buckets(BATCH_BUCKETS)

    def committed(self, counts: tuple[int, int, int], size: int) -> None:
        """Count a batch: completed, failed, postponed."""
        self.completed += counts[0]
        self.failed += counts[1]
        self.postponed += counts[2]
        self.commit_batch.observe(size)

    def lost(self, count: int) -> None:
        """Count claims that were no longer ours."""
        self.lost_claims += count
