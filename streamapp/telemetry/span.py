"""One span: a note of what happens, which becomes OpenTelemetry's when it ends."""

import time
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind
from opentelemetry.trace.status import Status, StatusCode

if TYPE_CHECKING:  # it makes these
    from streamapp.telemetry.tracing import Tracing

Attributes = Mapping[str, Any]

_UNSET, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Span:
    """The current span inside a ``with`` block; an error that leaves it is named on it.

    Attributes:
        context: Its place in the trace.
        is_sampled: Whether anybody will see it; if not, attributes need not be made up.
    """

    __slots__ = (
        "_attributes", "_events", "_kind", "_name", "_parent", "_started_ns", "_status",
        "_token", "_tracing", "context", "is_sampled",
    )  # fmt: skip

    _token: Token["Span | None"]

    def __init__(
        self,
        tracing: "Tracing",
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        started_ns: int,
    ) -> None:
        self._tracing = tracing
        self._name = name
        self._kind = kind
        self._parent = parent
        self._attributes: dict[str, Any] = {}
        self._events: list[Event] = []
        self._status = _UNSET
        self._started_ns = started_ns
        self.context = context
        self.is_sampled = context.trace_flags.sampled

    def __enter__(self) -> Self:
        self._token = self._tracing.current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tracing.current.reset(self._token)
        if self.is_sampled:
            if kind is not None:
                self.fail(kind.__name__)
            self.end()

    def set(self, attributes: Attributes) -> None:
        """Add attributes: text, numbers, truths, or lists of them."""
        self._attributes.update(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        """Add an event that happens now."""
        self._events.append(Event(name, attributes))

    def fail(self, error_type: str) -> None:
        """Mark it as failed."""
        self._attributes["error.type"] = error_type
        self._status = _FAILED

    def end(self) -> None:
        """Hand it over to be sent."""
        self._tracing.ended(
            ReadableSpan(
                self._name,
                context=self.context,
                parent=self._parent,
                resource=self._tracing.resource,
                attributes=self._tracing.limited(self._attributes),
                events=self._events,
                kind=self._kind,
                status=self._status,
                start_time=self._started_ns,
                end_time=time.time_ns(),
                instrumentation_scope=self._tracing.scope,
            )
        )

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.context.trace_id:032x}"


class Mute:
    """A span below one that nobody will see: nothing is kept, and the current one stays."""

    is_sampled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let errors pass."""

    def set(self, attributes: Attributes) -> None:
        """Nobody will see it."""

    def fail(self, error_type: str) -> None:
        """Nobody will see it."""


MUTE = Mute()
