"""A request, the job it starts and the call that job makes are one trace."""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from leadflood.engine.obs.tracing import traced_by
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.api.routes.test_leads import a_lead
from tests.support.api import Client

pytestmark = pytest.mark.pg
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "traced"}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with traced_by(provider):
        yield exporter


def of_trace(exporter: InMemorySpanExporter) -> dict[str, Any]:
    spans = exporter.get_finished_spans()
    return {span.name: span for span in spans if f"{span.context.trace_id:032x}" == TRACE}


async def test_a_request_its_jobs_and_their_calls_are_one_trace(
    api: Client, icp_id: str, exporter: InMemorySpanExporter
) -> None:
    body = a_lead(icp_id, providers=["apollo"])

    created = await api.post("/v1/leads", body, headers=GIVEN)
    with anyio.fail_after(10):
        while not any(name.startswith("apollo") for name in of_trace(exporter)):
            await anyio.lowlevel.checkpoint()

    spans = of_trace(exporter)
    request = spans["POST /v1/leads"]
    assert created.headers["X-Request-ID"] == "traced"
    assert request.attributes["http.response.status_code"] == 201
    jobs = [span for name, span in spans.items() if name.startswith("job ")]
    assert jobs
    assert {job.parent.span_id for job in jobs} == {request.context.span_id}
    calls = [span for name, span in spans.items() if name.startswith("apollo")]
    assert {call.parent.span_id for call in calls} <= {job.context.span_id for job in jobs}
