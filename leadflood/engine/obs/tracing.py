"""Tracing: a request, the jobs it starts and the calls they make are one OpenTelemetry trace.

Off unless `trace.endpoint` is set, and then it costs a look at one attribute. A span is named to
what happens below it by W3C's `traceparent`, which the queue keeps beside every job and its
follow-ups: so a trace goes on in jobs of other nodes and after a restart.
Source: W3C Trace Context, version 00.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

import msgspec
from anyio import to_thread

from leadflood.engine.errors import NotConfigured

Kind = Literal["server", "consumer", "client"]
_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_ZEROS = re.compile(r"0+")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where traces go (OTLP over HTTP, such as http://localhost:4318/v1/traces); empty: nowhere.

    `sample_ratio`: of how many requests that bring no trace of their own, from 0 to 1.
    """

    endpoint: str = ""
    sample_ratio: float = 1.0


class Span(Protocol):
    """A stretch of time in a trace."""

    @property
    def trace_parent(self) -> str:
        """Its `traceparent`, for what happens below it; empty: it is not recorded."""

    def rename(self, name: str, **fields: str | int) -> None:
        """Rename it once the name is known, with more fields."""

    def end(self, error: BaseException | None = None) -> None:
        """End it."""


class Tracer(Protocol):
    """Begins spans."""

    is_on: bool

    def begin(self, name: str, kind: Kind, parent: str = "", **fields: str | int) -> Span:
        """Begin a span below the `traceparent` given; empty: a trace of its own."""


class _NoSpan:
    trace_parent = ""

    def rename(self, name: str, **fields: str | int) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""


class _NoTracer:
    is_on = False

    def begin(self, name: str, kind: Kind, parent: str = "", **fields: str | int) -> Span:
        """Begin nothing."""
        del name, kind, parent, fields
        return _NoSpan()


class ActiveTracer:
    """The tracer of this process, as its logger is one."""

    tracer: Tracer = _NoTracer()


CURRENT_SPAN: ContextVar[str] = ContextVar("current_span", default="")
"""The `traceparent` of the span in which this task works; empty: none."""


@contextmanager
def spanned(name: str, kind: Kind, parent: str, **fields: str | int) -> Iterator[Span]:
    """Open a span around the block; for where the tracer is on."""
    span = ActiveTracer.tracer.begin(name, kind, parent, **fields)
    token = CURRENT_SPAN.set(span.trace_parent)
    try:
        yield span
    except BaseException as error:
        span.end(error=error)
        raise
    else:
        span.end()
    finally:
        CURRENT_SPAN.reset(token)


def read_traceparent(header: str) -> str:
    """Return the header if it is a valid `traceparent`, else the empty text."""
    match = _TRACE_PARENT.fullmatch(header.strip())
    if match is None or _ZEROS.fullmatch(match[1]) or _ZEROS.fullmatch(match[2]):
        return ""
    return match[0]


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[None]:
    """Send traces while the block runs; at its end what is left is sent.

    Raises: NotConfigured.
    """
    if not settings.endpoint:
        yield
        return
    provider = _provider_of(settings)
    try:
        with traced_by(provider):
            yield
    finally:
        await to_thread.run_sync(provider.shutdown)


@contextmanager
def traced_by(provider: Any) -> Iterator[None]:
    """Use a provider of OpenTelemetry's while the block runs."""
    before, ActiveTracer.tracer = ActiveTracer.tracer, _OpenTelemetry(provider)
    try:
        yield
    finally:
        ActiveTracer.tracer = before


def _provider_of(settings: Settings) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider, sampling  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NotConfigured(
            "trace.endpoint is set, but OpenTelemetry is not installed:"
            " pip install 'leadflood[otel]', or leave trace.endpoint empty",
            code="engine.trace.missing",
        ) from error
    sampler = sampling.ParentBased(sampling.TraceIdRatioBased(settings.sample_ratio))
    provider = TracerProvider(
        sampler=sampler, resource=Resource.create({"service.name": "leadflood"})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.endpoint)))
    return provider


class _OpenTelemetry:
    is_on = True

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        self._trace = trace
        self._tracer = provider.get_tracer("leadflood")

    def begin(self, name: str, kind: Kind, parent: str = "", **fields: str | int) -> Span:
        """Begin a span."""
        trace = self._trace
        span = self._tracer.start_span(
            name,
            context=self._context_below(parent),
            kind=trace.SpanKind[kind.upper()],
            attributes=fields,
        )
        return _OpenSpan(span, trace)

    def _context_below(self, parent: str) -> Any:
        """Return the context of a parent; without one an empty one: nothing is inherited."""
        trace = self._trace
        match = _TRACE_PARENT.fullmatch(parent)
        if match is None:
            return trace.set_span_in_context(trace.INVALID_SPAN)
        above = trace.SpanContext(
            trace_id=int(match[1], 16),
            span_id=int(match[2], 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(above))


class _OpenSpan:
    def __init__(self, span: Any, trace: Any) -> None:
        self._span = span
        self._trace = trace

    @property
    def trace_parent(self) -> str:
        context = self._span.get_span_context()
        if not self._span.is_recording():
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def rename(self, name: str, **fields: str | int) -> None:
        """Rename it once the name is known, with more fields."""
        self._span.update_name(name)
        self._span.set_attributes(fields)

    def end(self, error: BaseException | None = None) -> None:
        """End the span; of an error its class alone is kept, as its text may name people."""
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(self._trace.StatusCode.ERROR)
        self._span.end()
