"""Readings for `/metrics`: what this node counts, and what the database holds."""

from collections.abc import Iterator

from leadflood.engine.actors.supervisor import Health, Supervisor
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.obs.health import read_feed_lag
from leadflood.engine.obs.metrics import (
    ActorReading,
    Depth,
    LoopLag,
    Readings,
    RouteMetrics,
    StageReading,
)
from leadflood.engine.obs.size_statistics import QueueDepth, count_queue
from leadflood.engine.queue.stage_runner import StageRunner
from leadflood.engine.runtime import Engine

CACHED_SECONDS = 2.0


class MetricsReader:
    """Reads this node's counters; asks the database at most every two seconds."""

    def __init__(self, engine: Engine, gateway: ProviderGateway) -> None:
        self._engine = engine
        self._gateway = gateway
        self._db = engine.parts.db
        self._clock = engine.parts.clock
        self._read_at = float("-inf")
        self._depths: tuple[Depth, ...] = ()
        self._feed_lag: float | None = None

    async def read(self, routes: RouteMetrics, loop_lag: LoopLag) -> Readings:
        """Return all readings, with those of the server that asks."""
        if REAL_TIME.monotonic() - self._read_at >= CACHED_SECONDS:
            self._read_at = REAL_TIME.monotonic()
            await self._read_database()
        engine = self._engine
        in_use, size = self._db.in_use()
        return Readings(
            stages=[_read_stage(runner) for runner in engine.runners.values()],
            depths=self._depths,
            actors=list(_read_actors(engine.supervisor)),
            routes=routes,
            loop_lag=loop_lag,
            pool_in_use=in_use,
            pool_size=size,
            feed_lag_seconds=self._feed_lag,
            outside_calls=self._gateway.in_flight,
        )

    async def _read_database(self) -> None:
        """Where the database is away the depths read last stand."""
        try:
            depths = await count_queue(self._db, list(self._engine.runners))
            self._depths = tuple([self._read_depth(depth) for depth in depths])
            self._feed_lag = await read_feed_lag(self._db)
        except Exception as error:
            if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                raise
            self._feed_lag = None

    def _read_depth(self, depth: QueueDepth) -> Depth:
        age = None if depth.oldest_at is None else self._clock.now() - depth.oldest_at
        return Depth(
            stage=depth.stage,
            queued=depth.queued,
            running=depth.running,
            scheduled=depth.scheduled,
            oldest_seconds=0.0 if age is None else max(0.0, age.total_seconds()),
        )


def _read_stage(runner: StageRunner) -> StageReading:
    return StageReading(
        metrics=runner.metrics,
        channel_jobs=len(runner.channel),
        channel_capacity=runner.channel.capacity,
        in_flight=runner.pool.in_flight(),
        concurrency=runner.pool.concurrency,
        per_second=runner.per_second,
        is_paused=runner.is_paused,
        is_stalled=runner.committer.stall_reason is not None,
    )


def _read_actors(supervisor: Supervisor) -> Iterator[ActorReading]:
    for child in supervisor.children:
        yield ActorReading(
            name=child.name, restarts=child.restarts, is_running=child.health is Health.RUNNING
        )
        if child.supervisor is not None:
            yield from _read_actors(child.supervisor)
