"""Metrics: what this node counts and what the database holds, in Prometheus' text form.

The numbers are collected first (`Readings`), without Prometheus; writing them waits for nothing.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.obs.stage_metrics import LATENCY_BUCKETS_SECONDS, Buckets, StageMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LAG_EVERY_SECONDS = 0.5


class StageReading(msgspec.Struct, frozen=True, kw_only=True):
    """One stage on this node; `is_stalled`: it cannot commit."""

    metrics: StageMetrics
    channel_jobs: int
    channel_capacity: int
    in_flight: int
    concurrency: int
    per_second: float
    is_paused: bool
    is_stalled: bool


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """The queue's counts for a stage, on all nodes."""

    stage: str
    queued: int
    running: int
    scheduled: int
    oldest_seconds: float


class ActorReading(msgspec.Struct, frozen=True, kw_only=True):
    """One actor of the tree."""

    name: str
    restarts: int
    is_running: bool


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `/metrics` shows. `feed_lag_seconds` None: the database could not be asked."""

    stages: Sequence[StageReading]
    depths: Sequence[Depth]
    actors: Sequence[ActorReading]
    routes: "RouteMetrics"
    loop_lag: "LoopLag"
    pool_in_use: int
    pool_size: int
    feed_lag_seconds: float | None
    outside_calls: int


class RouteMetrics:
    """How often each route answered what, and how fast; how many requests and connections stand.

    How answers spread over time is kept by method: by route it would be most of a scrape.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, list[float]] = {}
        self.spread: dict[str, Buckets] = {}
        self.open = 0
        self.streams = 0
        self.connections = 0
        self.connections_cut = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        key = (route, status)
        self.answers[key] = self.answers.get(key, 0) + 1
        total = self.seconds.setdefault(route, [0, 0.0])
        total[0] += 1
        total[1] += seconds
        method = route.partition(" ")[0]
        if (buckets := self.spread.get(method)) is None:
            buckets = self.spread[method] = Buckets(LATENCY_BUCKETS_SECONDS)
        buckets.observe(seconds)


class LoopLag:
    """How much later than asked the loop wakes a sleeper: what a blocking call costs everyone."""

    def __init__(self) -> None:
        self.seconds = Buckets(LATENCY_BUCKETS_SECONDS)
        self.last_seconds = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            before = REAL_TIME.monotonic()
            await REAL_TIME.sleep(LAG_EVERY_SECONDS)
            self.last_seconds = max(0.0, REAL_TIME.monotonic() - before - LAG_EVERY_SECONDS)
            self.seconds.observe(self.last_seconds)


class ReadingsCollector(Collector):
    """Shows one set of readings to Prometheus' own writer."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    @override
    def collect(self) -> Iterable[Metric]:
        readings = self._readings
        yield from _count_stages(readings.stages)
        yield from _measure_stages(readings.stages)
        yield from _tell_queue(readings.depths)
        yield from _tell_actors(readings.actors)
        yield from _tell_routes(readings.routes)
        yield from _tell_process(readings)


def write(readings: Readings) -> bytes:
    """Write the readings in Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ReadingsCollector(readings))
    return generate_latest(registry)


def _count_stages(stages: Sequence[StageReading]) -> Iterator[Metric]:
    counted = (
        ("jobs_completed", "Jobs that went well.", "completed"),
        ("jobs_failed", "Jobs that ended in a dead letter or were refused.", "failed"),
        ("jobs_postponed", "Retries and snoozes.", "postponed"),
        ("claims_lost", "Claims found to be no longer ours.", "lost_claims"),
    )
    for name, text, attribute in counted:
        family = CounterMetricFamily(f"leadflood_{name}", text, labels=["stage"])
        for stage in stages:
            family.add_metric([stage.metrics.stage], getattr(stage.metrics, attribute))
        yield family


def _measure_stages(stages: Sequence[StageReading]) -> Iterator[Metric]:
    gauges = (
        ("jobs_in_flight", "Jobs at work on this node.", "in_flight"),
        ("stage_concurrency", "Jobs that may be at work at once on this node.", "concurrency"),
        ("channel_jobs", "Claimed jobs waiting in memory.", "channel_jobs"),
        ("channel_capacity", "Claimed jobs that may wait in memory.", "channel_capacity"),
        ("jobs_per_second", "Jobs settled a second, smoothed.", "per_second"),
        ("stage_paused", "1: the stage is paused.", "is_paused"),
        ("stage_stalled", "1: the stage cannot commit.", "is_stalled"),
    )
    for name, text, attribute in gauges:
        family = GaugeMetricFamily(f"leadflood_{name}", text, labels=["stage"])
        for stage in stages:
            family.add_metric([stage.metrics.stage], float(getattr(stage, attribute)))
        yield family
    yield _histogram(
        "work_seconds",
        "How long work took.",
        "stage",
        [(stage.metrics.stage, stage.metrics.work_seconds) for stage in stages],
    )
    yield _histogram(
        "commit_batch_jobs",
        "How many jobs a transaction settled.",
        "stage",
        [(stage.metrics.stage, stage.metrics.commit_batch) for stage in stages],
    )


def _tell_queue(depths: Sequence[Depth]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "leadflood_queue_jobs", "Live jobs in the database.", labels=["stage", "state"]
    )
    oldest = GaugeMetricFamily(
        "leadflood_queue_oldest_seconds", "Age of the oldest queued job.", labels=["stage"]
    )
    for depth in depths:
        jobs.add_metric([depth.stage, "queued"], depth.queued)
        jobs.add_metric([depth.stage, "running"], depth.running)
        jobs.add_metric([depth.stage, "scheduled"], depth.scheduled)
        oldest.add_metric([depth.stage], depth.oldest_seconds)
    yield jobs
    yield oldest


def _tell_actors(actors: Sequence[ActorReading]) -> Iterator[Metric]:
    restarts = CounterMetricFamily(
        "leadflood_actor_restarts", "How often an actor was started again.", labels=["actor"]
    )
    running = GaugeMetricFamily("leadflood_actor_running", "1: the actor runs.", labels=["actor"])
    for actor in actors:
        restarts.add_metric([actor.name], actor.restarts)
        running.add_metric([actor.name], float(actor.is_running))
    yield restarts
    yield running


def _tell_routes(routes: RouteMetrics) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        "leadflood_http_answers", "Answers by route and status.", labels=["route", "status"]
    )
    for (route, status), count in sorted(routes.answers.items()):
        answers.add_metric([route, str(status)], count)
    yield answers
    seconds = SummaryMetricFamily(
        "leadflood_http_seconds", "How long answers of a route took.", labels=["route"]
    )
    for route, (times, total) in sorted(routes.seconds.items()):
        seconds.add_metric([route], int(times), total)
    yield seconds
    yield _histogram(
        "http_method_seconds", "How long an answer took.", "method", sorted(routes.spread.items())
    )
    yield GaugeMetricFamily("leadflood_http_connections", "Connections open.", routes.connections)
    yield CounterMetricFamily(
        "leadflood_http_connections_cut",
        "Connections ended because there were too many.",
        routes.connections_cut,
    )
    yield GaugeMetricFamily("leadflood_http_open", "Requests being answered.", routes.open)
    yield GaugeMetricFamily(
        "leadflood_http_streams", "Listeners of the event stream.", routes.streams
    )


def _tell_process(readings: Readings) -> Iterator[Metric]:
    gauges = (
        ("pool_connections_in_use", "Database connections lent.", readings.pool_in_use),
        ("pool_connections_max", "Database connections at most.", readings.pool_size),
        ("loop_lag_last_seconds", "The loop's newest lag.", readings.loop_lag.last_seconds),
        ("outside_calls_in_flight", "Calls to providers under way.", readings.outside_calls),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(f"leadflood_{name}", text, value)
    if readings.feed_lag_seconds is not None:
        yield GaugeMetricFamily(
            "leadflood_feed_lag_seconds",
            "How long the oldest open transaction holds the event feed back.",
            readings.feed_lag_seconds,
        )
    lag = HistogramMetricFamily("leadflood_loop_lag_seconds", "How late the loop wakes a sleeper.")
    lag.add_metric([], _cumulated(readings.loop_lag.seconds), readings.loop_lag.seconds.total)
    yield lag


def _histogram(
    name: str, text: str, label: str, rows: Sequence[tuple[str, Buckets]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"leadflood_{name}", text, labels=[label])
    for value, buckets in rows:
        family.add_metric([value], _cumulated(buckets), buckets.total)
    return family


def _cumulated(buckets: Buckets) -> list[tuple[str, float]]:
    """Return how many values were at most each bound, as Prometheus wants it."""
    total = 0
    rows: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, buckets.bounds), "+Inf"], buckets.counts, strict=True):
        total += count
        rows.append((bound, total))
    return rows
