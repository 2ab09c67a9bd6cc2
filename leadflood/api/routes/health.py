"""Health: readiness and metrics, for the machines that watch this one."""

from http import HTTPStatus

import msgspec
from anyio import to_thread

from leadflood.api.http.responses import RawResponse, json_response
from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.engine.obs import metrics
from leadflood.engine.obs.health import Check
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics


class Ready(msgspec.Struct, frozen=True):
    """Whether this node can work, check by check."""

    status: str
    checks: tuple[Check, ...]


@get(
    "/ready",
    is_open=True,
    rate="watch",
    shows=Ready,
    also=(HTTPStatus.SERVICE_UNAVAILABLE,),
)
async def show_readiness(services: Services) -> RawResponse:
    """Show whether this node can work: database, migrations, stages. 503 when it cannot."""
    checks = await services.control.readiness.check()
    is_ready = all(check.ok for check in checks)
    answer = Ready("ready" if is_ready else "not ready", tuple(checks))
    return json_response(answer, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)


@get("/metrics", permission="system:read", rate="watch", content_type=metrics.CONTENT_TYPE)
async def show_metrics(services: Services, routes: RouteMetrics, loop_lag: LoopLag) -> RawResponse:
    """Show all numbers in Prometheus' text form."""
    readings = await services.control.metrics.read(routes, loop_lag)
    body = await to_thread.run_sync(metrics.write, readings)
    return RawResponse(body=body, content_type=metrics.CONTENT_TYPE)
