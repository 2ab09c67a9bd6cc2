"""What machines that watch us ask: are you ready, and in numbers."""

from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.services import Node
from leadflood.engine.actors.supervisor import Health, Supervisor
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.obs import metrics
from leadflood.engine.obs.health import SQL, Check, check_migrations, check_stages, look
from leadflood.engine.obs.metrics import (
    ActorReading,
    Depth,
    LoopLag,
    Readings,
    RouteMetrics,
    StageReading,
)
from leadflood.engine.obs.size_statistics import QueueDepth, count_queue
from leadflood.engine.queue import repository
from leadflood.engine.queue.stage_runner import StageRunner

CACHED_SECONDS = 2.0


class Ready(msgspec.Struct, frozen=True):
    """Whether this node can work, check by check."""

    status: str
    checks: tuple[Check, ...]


class Operations:
    """The routes of readiness and metrics."""

    def __init__(self, node: Node, newest: str, routes: RouteMetrics, lag: LoopLag) -> None:
        self._node = node
        self._newest = newest
        self._routes = routes
        self._lag = lag
        self._asked_at = float("-inf")
        self._depths: tuple[Depth, ...] = ()
        self._feed_lag: float | None = None

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/ready", handler=self.ready, permission="", is_open=True,
                rate="none", shows=Ready, also=(HTTPStatus.SERVICE_UNAVAILABLE,),
            ),
            Route(
                method="GET", path="/metrics", handler=self.metrics, permission="system:read",
                rate="none", content_type=metrics.CONTENT_TYPE,
            ),
        )  # fmt: skip

    async def ready(self) -> HtmlPage:
        """Tell whether this node can work: database, migrations, stages. 503 when it cannot."""
        db, engine = self._node.services.db, self._node.services.engine

        async def ask() -> str:
            await db.fetch_value(repository.SQL.find_era)
            return "answers"

        checks = [await look("database", ask)]
        if checks[0].ok:
            checks.append(await check_migrations(db, self._newest))
        paused = [name for name, line in engine.runners.items() if line.is_paused]
        checks.append(check_stages(engine.why_not_ready(), paused))
        is_ready = all(check.ok for check in checks)
        answer = Ready("ready" if is_ready else "not ready", tuple(checks))
        return HtmlPage(
            body=msgspec.json.encode(answer),
            content_type="application/json",
            status=200 if is_ready else 503,
        )

    async def metrics(self) -> HtmlPage:
        """Tell all numbers in Prometheus' text form."""
        await self._ask_database()
        engine = self._node.services.engine
        in_use, size = self._node.services.db.in_use()
        readings = Readings(
            stages=[_read_stage(line) for line in engine.runners.values()],
            depths=self._depths,
            actors=list(_read_actors(engine.supervisor)),
            routes=self._routes,
            loop_lag=self._lag,
            pool_in_use=in_use,
            pool_size=size,
            feed_lag_seconds=self._feed_lag,
            outside_calls=self._node.services.gate.in_flight,
        )
        return HtmlPage(body=metrics.write(readings), content_type=metrics.CONTENT_TYPE)

    async def _ask_database(self) -> None:
        """Ask at most every two seconds; where the database is away the last answer stands."""
        if REAL_TIME.monotonic() - self._asked_at < CACHED_SECONDS:
            return
        self._asked_at = REAL_TIME.monotonic()
        db = self._node.services.db
        try:
            stages = list(self._node.services.engine.runners)
            self._depths = tuple([self._depth(one) for one in await count_queue(db, stages)])
            self._feed_lag = await db.fetch_value(SQL.read_feed_lag)
        except Exception as error:
            if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                raise
            self._feed_lag = None

    def _depth(self, told: QueueDepth) -> Depth:
        oldest_at = told.oldest_at
        age = self._node.services.clock.now() - oldest_at if oldest_at is not None else None
        return Depth(
            stage=told.stage,
            queued=told.queued,
            running=told.running,
            scheduled=told.scheduled,
            oldest_seconds=0.0 if age is None else max(0.0, age.total_seconds()),
        )


def _read_stage(line: StageRunner) -> StageReading:
    return StageReading(
        metrics=line.metrics,
        channel_jobs=len(line.channel),
        channel_capacity=line.channel.capacity,
        in_flight=line.pool.in_flight(),
        concurrency=line.pool.concurrency,
        per_second=line.per_second,
        is_paused=line.is_paused,
        is_stalled=line.committer.stall_reason is not None,
    )


def _read_actors(supervisor: Supervisor) -> Iterator[ActorReading]:
    for child in supervisor.children:
        yield ActorReading(
            name=child.name, restarts=child.restarts, is_running=child.health is Health.RUNNING
        )
        if child.supervisor is not None:
            yield from _read_actors(child.supervisor)
