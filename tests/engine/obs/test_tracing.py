import pytest
from leadflood.engine.errors import Denied
from leadflood.engine.obs import tracing
from leadflood.engine.obs.tracing import (
    CURRENT_SPAN,
    ActiveTracer,
    read_traceparent,
    spanned,
    traced_by,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ABOVE = f"00-{TRACE}-{SPAN}-01"


def a_provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


@pytest.mark.parametrize(
    ("header", "trace_parent"),
    [
        (ABOVE, ABOVE),
        (f" {ABOVE}", ABOVE),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ""),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", ""),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_w3c_s_traceparent_is_read_or_left(header: str, trace_parent: str) -> None:
    assert read_traceparent(header) == trace_parent


def test_no_span_is_begun_where_tracing_is_off() -> None:
    with spanned("a", "server", ABOVE) as span:
        span.rename("b", status=200)

    assert not ActiveTracer.tracer.is_on
    assert CURRENT_SPAN.get() == ""


def test_a_span_below_another_is_of_its_trace() -> None:
    provider, exporter = a_provider()

    with traced_by(provider), spanned("request", "server", ABOVE) as request:
        request.rename("GET /v1/leads", status=200)
        with spanned("call", "client", CURRENT_SPAN.get()):
            pass

    call, above = exporter.get_finished_spans()
    assert (call.name, above.name) == ("call", "GET /v1/leads")
    assert f"{above.context.trace_id:032x}" == TRACE
    assert call.parent is not None
    assert above.parent is not None
    assert call.parent.span_id == above.context.span_id
    assert f"{above.parent.span_id:016x}" == SPAN
    assert not ActiveTracer.tracer.is_on


def test_a_span_keeps_the_class_of_an_error_and_not_its_text() -> None:
    provider, exporter = a_provider()

    with traced_by(provider), pytest.raises(Denied), spanned("job", "consumer", ""):
        raise Denied("ann@acme.example may not")

    (span,) = exporter.get_finished_spans()
    assert "ann@" not in span.to_json()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "Denied"
    assert not span.status.is_ok


async def test_without_an_endpoint_nothing_is_loaded() -> None:
    async with tracing.tracing(tracing.Settings()):
        assert not ActiveTracer.tracer.is_on
