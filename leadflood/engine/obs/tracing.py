"""Traces: a request, the jobs it starts and the calls they make, as one, by OpenTelemetry.

Off unless `trace.endpoint` is set, and then it costs a look at one attribute. A span's place is
carried behind the request's id (`<id>~<trace>-<span>`), which the queue keeps beside every job
and its follow-ups: so a trace goes on in jobs of other nodes and after a restart.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

import msgspec
from anyio import to_thread

from leadflood.engine.errors import NotConfigured

MARK = "~"
Kind = Literal["server", "consumer", "client"]
_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_CARRIED = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")
_NOTHING = re.compile(r"0+")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where traces go (OTLP over HTTP, such as http://localhost:4318/v1/traces); empty: nowhere.

    `sample_ratio`: of how many requests that bring no trace of their own, from 0 to 1.
    """

    endpoint: str = ""
    sample_ratio: float = 1.0


class Span(Protocol):
    """Something that takes time."""

    @property
    def place(self) -> str:
        """Where it stands, for what happens below it."""

    def tell(self, name: str, **fields: str | int) -> None:
        """Say what it was after all."""

    def end(self, error: BaseException | None = None) -> None:
        """Say that it is over."""


class Tracer(Protocol):
    """Begins spans."""

    is_on: bool

    def begin(self, name: str, kind: Kind, parent: str = "", **fields: str | int) -> Span:
        """Begin a span below the place given; empty: a trace of its own."""


class _Nothing:
    place = ""

    def tell(self, name: str, **fields: str | int) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""


class _Off:
    is_on = False

    def begin(self, name: str, kind: Kind, parent: str = "", **fields: str | int) -> Span:
        """Begin nothing."""
        del name, kind, parent, fields
        return _Nothing()


class Active:
    """The tracer of this process, as its logger is one."""

    tracer: Tracer = _Off()


PLACE: ContextVar[str] = ContextVar("place", default="")
"""Where the work at hand stands in its trace."""


@contextmanager
def spanned(name: str, kind: Kind, parent: str, **fields: str | int) -> Iterator[Span]:
    """Make a span of the block; for where the tracer is on."""
    span = Active.tracer.begin(name, kind, parent, **fields)
    before = PLACE.set(span.place)
    try:
        yield span
    except BaseException as error:
        span.end(error=error)
        raise
    else:
        span.end()
    finally:
        PLACE.reset(before)


def read_traceparent(header: str) -> str:
    """Read W3C's traceparent; empty: there is none, or it cannot be read."""
    found = _PARENT.fullmatch(header.strip())
    if found is None or _NOTHING.fullmatch(found[1]) or _NOTHING.fullmatch(found[2]):
        return ""
    return f"{found[1]}-{found[2]}"


def carry(request_id: str, place: str) -> str:
    """Put a place behind a request's id."""
    return f"{request_id}{MARK}{place}" if place else request_id


def plain(request_id: str) -> str:
    """Tell a request's id without what it carries."""
    return request_id.partition(MARK)[0]


def place_in(request_id: str | None) -> str:
    """Tell the place that a request's id carries; empty: none."""
    place = (request_id or "").partition(MARK)[2]
    return place if _CARRIED.fullmatch(place) else ""


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[None]:
    """Send traces while the block runs; at its end what is left is sent. Raises: NotConfigured."""
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
    before, Active.tracer = Active.tracer, _OpenTelemetry(provider)
    try:
        yield
    finally:
        Active.tracer = before


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
        made = self._tracer.start_span(
            name,
            context=self._below(parent),
            kind=trace.SpanKind[kind.upper()],
            attributes=fields,
        )
        return _OpenSpan(made, trace)

    def _below(self, parent: str) -> Any:
        """Tell the context of a place; without one, an empty one: nothing is inherited."""
        trace = self._trace
        found = _CARRIED.fullmatch(parent)
        if found is None:
            return trace.set_span_in_context(trace.INVALID_SPAN)
        above = trace.SpanContext(
            trace_id=int(found[1], 16),
            span_id=int(found[2], 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(above))


class _OpenSpan:
    def __init__(self, made: Any, trace: Any) -> None:
        self._made = made
        self._trace = trace

    @property
    def place(self) -> str:
        context = self._made.get_span_context()
        if not self._made.is_recording():
            return ""
        return f"{context.trace_id:032x}-{context.span_id:016x}"

    def tell(self, name: str, **fields: str | int) -> None:
        """Say what it was after all."""
        self._made.update_name(name)
        self._made.set_attributes(fields)

    def end(self, error: BaseException | None = None) -> None:
        """End the span; of an error its class alone is told, as its text may name people."""
        if error is not None:
            self._made.set_attribute("error.type", type(error).__name__)
            self._made.set_status(self._trace.StatusCode.ERROR)
        self._made.end()
