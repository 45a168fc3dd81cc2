"""Spans by OpenTelemetry: the one module that knows it, imported where traces are on.

Names follow OpenTelemetry's conventions for messaging and for generative AI. No span holds the
message of an error: only its name. The process-wide tracer provider is left alone.
"""

import asyncio
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from types import TracebackType
from typing import Any, Literal, Self

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OTelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamapp.errors import ConfigurationError

Kind = Literal["internal", "consumer", "producer", "client", "server"]
Attributes = Mapping[str, Any]

_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
}
_FAILED = Status(StatusCode.ERROR)
_NS = 1_000_000_000
#: Longest wait at the end for a collector to take the last spans, seconds.
FLUSH_S = 3.0


class Span:
    """The current span inside a ``with`` block; an error that leaves it is named on it."""

    __slots__ = (
        "_attributes",
        "_kind",
        "_name",
        "_parent",
        "_since_s",
        "_token",
        "_tracer",
        "otel",
    )

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: Context | None,
        since_s: float,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._parent = parent
        self._since_s = since_s

    def __enter__(self) -> Self:
        start_ns = time.time_ns() - int(self._since_s * _NS) if self._since_s else None
        self.otel = self._tracer.start_span(
            self._name,
            context=self._parent,
            kind=self._kind,
            attributes=self._attributes,
            start_time=start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        self._token = attach(trace.set_span_in_context(self.otel, self._parent))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        detach(self._token)
        if kind is not None:
            _fail(self.otel, kind.__name__)
        self.otel.end()

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        self.otel.set_attributes(attributes)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return trace.format_trace_id(self.otel.get_span_context().trace_id)


class Tracing:
    """Makes spans and carries them over headers.

    Args:
        processor: What becomes of spans that have ended.
        service: ``service.name``, where ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``
            say nothing.
        captures_content: Whether the text of messages and answers may be in spans.
    """

    def __init__(
        self, processor: SpanProcessor, *, service: str, captures_content: bool = False
    ) -> None:
        # Its sampler and limits are those of the environment.
        self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("streamapp", version("streamapp"))
        self._propagator = TraceContextTextMapPropagator()
        self.captures_content = captures_content

    def span(
        self,
        name: str,
        kind: Kind = "internal",
        attributes: Attributes | None = None,
        *,
        parent: Context | None = None,
        since_s: float = 0.0,
    ) -> Span:
        """Return a span for a ``with`` block.

        Args:
            name: Of few different values.
            kind: OpenTelemetry's.
            attributes: Of few bytes.
            parent: From :meth:`parent`; the current span where None.
            since_s: How long ago it began, seconds.
        """
        return Span(self._tracer, name, _KINDS[kind], attributes or {}, parent, since_s)

    def past(self, name: str, lasted_s: float, attributes: Attributes | None = None) -> None:
        """Add a span below the current one that ends now."""
        now = time.time_ns()
        span = self._tracer.start_span(
            name, start_time=now - int(lasted_s * _NS), attributes=attributes
        )
        span.end(now)

    def parent(self, headers: Mapping[str, str]) -> Context:
        """Return the context that headers name, or an empty one."""
        return self._propagator.extract(headers, context=Context())

    def headers(self) -> dict[str, str]:
        """Return the headers that name the current span."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    def note(self, attributes: Attributes) -> None:
        """Add attributes to the current span."""
        trace.get_current_span().set_attributes(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        """Add an event to the current span."""
        trace.get_current_span().add_event(name, attributes)

    def fail(self, error_type: str) -> None:
        """Mark the current span as failed."""
        _fail(trace.get_current_span(), error_type)

    async def aclose(self, limit_s: float = FLUSH_S) -> None:
        """Send the last spans, for at most ``limit_s``: a lost collector delays no stop."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
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


def _resource(service: str) -> Resource:
    resource = Resource.create({"service.version": version("streamapp")})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service}))
    return resource


def _fail(span: OTelSpan, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(_FAILED)
