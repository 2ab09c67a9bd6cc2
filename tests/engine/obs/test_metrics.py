import anyio
import msgspec
from leadflood.engine.obs.metrics import (
    ActorReading,
    Depth,
    LoopLag,
    Readings,
    RouteMetrics,
    StageReading,
    write,
)
from leadflood.engine.obs.stage_metrics import StageMetrics
from prometheus_client.parser import text_string_to_metric_families


def a_reading(metrics: StageMetrics, routes: RouteMetrics) -> Readings:
    return Readings(
        stages=[
            StageReading(
                metrics=metrics,
                channel_jobs=3,
                channel_capacity=32,
                in_flight=2,
                concurrency=8,
                per_second=1.5,
                is_paused=True,
                is_stalled=False,
            )
        ],
        depths=[Depth(stage="s", queued=7, running=1, scheduled=2, oldest_seconds=4.5)],
        actors=[ActorReading(name="timer", restarts=2, is_running=True)],
        routes=routes,
        loop_lag=LoopLag(),
        pool_in_use=4,
        pool_size=16,
        feed_lag_seconds=0.25,
        outside_calls=1,
    )


def samples(text: bytes) -> dict[str, float]:
    return {
        sample.name
        + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_number_is_written_as_prometheus_reads_it() -> None:
    metrics, routes = StageMetrics("s"), RouteMetrics()
    metrics.committed((5, 1, 2), 8)
    metrics.work_seconds.observe(0.003)
    metrics.work_seconds.observe(7.0)
    routes.answered("GET /x", 200, 0.02)

    numbers = samples(write(a_reading(metrics, routes)))

    assert numbers["leadflood_jobs_completed_total|s"] == 5
    assert numbers["leadflood_jobs_failed_total|s"] == 1
    assert numbers["leadflood_jobs_postponed_total|s"] == 2
    assert numbers["leadflood_queue_jobs|s|queued"] == 7
    assert numbers["leadflood_queue_oldest_seconds|s"] == 4.5
    assert numbers["leadflood_work_seconds_bucket|0.005|s"] == 1
    assert numbers["leadflood_work_seconds_bucket|10.0|s"] == 2
    assert numbers["leadflood_work_seconds_count|s"] == 2
    assert numbers["leadflood_work_seconds_sum|s"] == 7.003
    assert numbers["leadflood_commit_batch_jobs_count|s"] == 1
    assert numbers["leadflood_stage_paused|s"] == 1
    assert numbers["leadflood_actor_restarts_total|timer"] == 2
    assert numbers["leadflood_http_answers_total|GET /x|200"] == 1
    assert numbers["leadflood_pool_connections_in_use"] == 4
    assert numbers["leadflood_feed_lag_seconds"] == 0.25


def test_a_database_that_cannot_be_asked_leaves_its_numbers_out() -> None:
    reading = a_reading(StageMetrics("s"), RouteMetrics())

    numbers = samples(write(msgspec.structs.replace(reading, feed_lag_seconds=None)))

    assert "leadflood_feed_lag_seconds" not in numbers


async def test_the_loop_s_lag_is_measured() -> None:
    lag = LoopLag()

    with anyio.move_on_after(0.7):
        await lag.run()

    assert sum(lag.seconds.counts) == 1
    assert 0 <= lag.last_seconds < 0.2


def test_a_scrape_stays_small_when_all_routes_have_answered_everything() -> None:
    routes = RouteMetrics()
    for number in range(200):
        for status in (200, 401, 403, 404, 409, 422, 429, 503):
            routes.answered(f"GET /v1/some/long/resource/{{someId}}/part{number}", status, 0.02)

    text = write(a_reading(StageMetrics("s"), routes))

    assert len(text) < 200_000
    assert samples(text)["leadflood_http_method_seconds_count|GET"] == 1_600
