"""Spans for OpenTelemetry, which only this module and `span.py` import, where traces are on.

Names follow OpenTelemetry's conventions for messaging and for generative AI. No span holds the
message of an error: only its name. The process-wide tracer provider is left alone.

Sampler, resource, limits and export are the SDK's; its spans are not used while a record is
worked on: locks, checks of each attribute and a sampler's decision per span cost it four times
the CPU of a note of what happened. Below a record that nobody will see there are no spans at all.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.metadata import version
from random import Random
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamapp.errors import ConfigurationError
from streamapp.telemetry.span import MUTE, Attributes, Mute, Span
from streamapp.telemetry.trace_headers import PARENT, STATE

Kind = Literal["internal", "consumer", "producer", "client", "server"]

_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
}
_SAMPLED, _UNSAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_NS = 1_000_000_000
#: Longest wait at the end for a collector to take the last spans, seconds.
FLUSH_S = 3.0


class Tracing:
    """Makes spans and carries them over headers.

    Args:
        processor: What becomes of spans that have ended.
        service: ``service.name``, where ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``
            say nothing.
        captures_content: Whether the text of messages and answers may be in spans.

    Attributes:
        current: The span that new ones are below, in this task.
    """

    def __init__(
        self, processor: SpanProcessor, *, service: str, captures_content: bool = False
    ) -> None:
        # Reads the sampler and the identity of the process from the environment.
        provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self.captures_content = captures_content
        self.current: ContextVar[Span | None] = ContextVar("span", default=None)
        self.resource = provider.resource
        self.scope = InstrumentationScope("streamapp", version("streamapp"))
        self.ended = processor.on_end
        self._sampler = provider.sampler
        self._processor = processor
        self._propagator = TraceContextTextMapPropagator()
        self._longest = SpanLimits().max_span_attribute_length
        self._random = Random()  # noqa: S311 - an id needs no secrecy

    def begin(
        self, name: str, kind: Kind, *, parent: SpanContext | None, since_s: float = 0.0
    ) -> Span:
        """Return the first span of this worker in a trace, for a ``with`` block.

        Args:
            name: Of few different values.
            kind: OpenTelemetry's.
            parent: From :meth:`parent`; None begins a trace.
            since_s: How long ago it began, seconds.
        """
        trace_id = parent.trace_id if parent else self._random.getrandbits(128)
        seen = self._sampler.should_sample(_holding(parent), trace_id, name, _KINDS[kind])
        flags = _SAMPLED if seen.decision is Decision.RECORD_AND_SAMPLE else _UNSAMPLED
        state = seen.trace_state or TraceState()
        return self._span(name, kind, trace_id, flags, state, parent, since_s)

    def span(self, name: str, kind: Kind = "internal") -> Span | Mute:
        """Return a span below the current one, for a ``with`` block."""
        above = self.current.get()
        if above is None:  # not for a record, as when examples are compared
            return self.begin(name, kind, parent=None)
        if not above.is_sampled:
            return MUTE
        parent = above.context
        return self._span(
            name, kind, parent.trace_id, parent.trace_flags, parent.trace_state, parent, 0.0
        )

    def _span(
        self,
        name: str,
        kind: Kind,
        trace_id: int,
        flags: TraceFlags,
        state: TraceState,
        parent: SpanContext | None,
        since_s: float,
    ) -> Span:
        own = SpanContext(trace_id, self._random.getrandbits(64), False, flags, state)
        started_ns = time.time_ns() - int(since_s * _NS)
        return Span(self, name, _KINDS[kind], own, parent, started_ns)

    def past(self, name: str, lasted_s: float, attributes: Attributes | None = None) -> None:
        """Add a span below the current one that ends now."""
        above = self.current.get()
        if above is not None and above.is_sampled:
            parent = above.context
            flags, state = parent.trace_flags, parent.trace_state
            span = self._span(name, "internal", parent.trace_id, flags, state, parent, lasted_s)
            span.set(attributes or {})
            span.end()

    @contextmanager
    def shared(self, span: Span) -> Iterator[None]:
        """Let spans that others make by OpenTelemetry inside the block be below ``span``."""
        token = attach(trace.set_span_in_context(NonRecordingSpan(span.context)))
        try:
            yield
        finally:
            detach(token)

    def parent(self, headers: Mapping[str, str]) -> SpanContext | None:
        """Return the span that headers name."""
        if not headers:
            return None
        context = self._propagator.extract(headers, context=Context())
        found = trace.get_current_span(context).get_span_context()
        return found if found.is_valid else None

    def headers(self) -> dict[str, str]:
        """Return the headers that name the current span."""
        span = self.current.get()
        if span is None:
            return {}
        context = span.context
        headers = {
            PARENT: f"00-{span.trace_id}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        }
        if context.trace_state:
            headers[STATE] = context.trace_state.to_header()
        return headers

    def limited(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes, text cut as ``OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`` says."""
        if self._longest is None:
            return attributes
        return {
            name: value[: self._longest] if isinstance(value, str) else value
            for name, value in attributes.items()
        }

    async def aclose(self, limit_s: float = FLUSH_S) -> None:
        """Send the last spans, for at most ``limit_s``: a lost collector delays no stop."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()
            with suppress(RuntimeError):  # the loop has ended, and waits for nobody
                loop.call_soon_threadsafe(ended.set)

        # A thread of an executor would be waited for at the end of the process.
        threading.Thread(target=shut_down, name="traces-flush", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await ended.wait()


def otlp() -> SpanProcessor:
    """Return what sends spans in batches to where ``OTEL_EXPORTER_OTLP_*`` says.

    Raises:
        ConfigurationError: One of these variables makes no sense.
    """
    try:
        return BatchSpanProcessor(OTLPSpanExporter())
    except ValueError as error:
        # Its text may hold the value, and headers are secret.
        raise ConfigurationError("OTEL_EXPORTER_OTLP_* or OTEL_BSP_*: not valid") from error


def _holding(parent: SpanContext | None) -> Context:
    context = Context()
    return trace.set_span_in_context(NonRecordingSpan(parent), context) if parent else context


def _resource(service: str) -> Resource:
    resource = Resource.create({"service.version": version("streamapp")})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service}))
    return resource
