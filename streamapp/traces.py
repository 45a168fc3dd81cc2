"""Where the spans of a record begin and end: from its headers to those of its answer.

Off is the default and costs a record nothing: `Untraced` gives back what it is given.
"""

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from faust.types import RecordMetadata, TopicT

from streamapp.errors import ConfigurationError, Failure
from streamapp.llm.observer import CallObserver
from streamapp.llm.provider import LLMProvider
from streamapp.llm.traced import TracedProvider
from streamapp.processors.router import Answer, Router
from streamapp.records.request import Request
from streamapp.settings import Settings, tracing_settings
from streamapp.streaming.emitter import Emitter
from streamapp.streaming.window import Event, Lease
from streamapp.telemetry.subject import TRACE_ID
from streamapp.telemetry.trace_headers import BAGGAGE, as_text

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing

Run = Callable[[Event, Lease], Coroutine[Any, Any, None]]

#: A shorter wait in the window is no span: most records do not wait at all.
QUEUED_S = 0.001


def traces(settings: Settings) -> "Untraced":
    """Return what puts spans around the parts of an app, or leaves them as they are.

    Raises:
        ConfigurationError: Traces are wanted, and what they need is not installed.
    """
    wanted = tracing_settings()
    if not wanted.is_on:
        return Untraced()
    try:
        from streamapp.telemetry.tracing import Tracing, otlp
    except ImportError:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set: install streamapp[otel], or unset it"
        ) from None
    tracing = Tracing(otlp(), service=settings.app_id, captures_content=wanted.captures_content)
    return Traced(tracing, settings)


class Untraced:
    """Traces are off."""

    def provider(self, name: str, provider: LLMProvider) -> LLMProvider:
        """Return what attempts at a provider go through."""
        return provider

    def observer(self, observer: CallObserver) -> CallObserver:
        """Return who hears of waits and retries."""
        return observer

    def router(self, router: Router) -> Router:
        """Return what answers requests."""
        return router

    def emitter(self, emitter: Emitter) -> Emitter:
        """Return what delivers outcomes."""
        return emitter

    def run(self, run: Run) -> Run:
        """Return what brings a record to its outcome."""
        return run

    async def aclose(self) -> None:
        """Send what is not sent yet."""


class Traced(Untraced):
    """Traces are on."""

    def __init__(self, tracing: "Tracing", settings: Settings) -> None:
        self._tracing = tracing
        self._settings = settings

    def provider(self, name: str, provider: LLMProvider) -> LLMProvider:
        """Put each attempt into a span."""
        settings = self._settings.providers[name]
        return TracedProvider(provider, name=name, settings=settings, tracing=self._tracing)

    def observer(self, observer: CallObserver) -> CallObserver:
        """Show waits as spans, retries as events."""
        return TracedObserver(observer, self._tracing)

    def router(self, router: Router) -> Router:
        """Put each processor's run into a span."""
        return TracedRouter(router, self._tracing)

    def emitter(self, emitter: Emitter) -> Emitter:
        """Put each delivery into a span, and name it in the answer's headers."""
        dead_letters = self._settings.topic("requests-dlt")
        return TracedEmitter(emitter, self._tracing, dead_letters=dead_letters)

    def run(self, run: Run) -> Run:
        """Put each record into a span that goes on with its producer's trace."""
        return TracedRun(run, self._tracing, group=self._settings.app_id)

    async def aclose(self) -> None:
        """Send the last spans, for a bounded time."""
        await self._tracing.aclose()


class TracedObserver:
    """Tells the current span what the policies do."""

    def __init__(self, observer: CallObserver, tracing: "Tracing") -> None:
        self._observer = observer
        self._tracing = tracing

    def waited(self, provider: str, wait_s: float) -> None:
        """Add the wait for a limit as a span."""
        self._observer.waited(provider, wait_s)
        self._tracing.past("wait for limit", wait_s, {"streamapp.provider": provider})

    def retried(self, provider: str, reason: str) -> None:
        """Add the retry as an event."""
        self._observer.retried(provider, reason)
        self._tracing.event("retry", {"streamapp.provider": provider, "error.type": reason})


class TracedRouter(Router):
    """Puts each run of a processor into a span that is named by the record's type."""

    def __init__(self, router: Router, tracing: "Tracing") -> None:
        self._router = router
        self._tracing = tracing

    def decode(self, value: bytes | None) -> Request:
        """Return the request; raises as the router."""
        return self._router.decode(value)

    async def answer(self, request: Request, *, id: str, **kwargs: Any) -> Answer:
        """Return the answer; raises as the router."""
        attributes = {"streamapp.record.id": id, "streamapp.record.type": request.type}
        with self._tracing.span(request.type, attributes=attributes) as span:
            try:
                answer = await self._router.answer(request, id=id, **kwargs)
            except Failure as failure:
                span.set(
                    {"streamapp.kind": failure.kind.value, "streamapp.attempts": failure.attempts}
                )
                raise
            response = answer.response
            span.set({"streamapp.cached": response.cached, "streamapp.attempts": response.attempts})
        return answer


class TracedEmitter(Emitter):
    """Puts each delivery into a span; an answer's headers name it, for whoever reads on.

    Dead letters keep the headers of their record, so that a replay goes on with its trace.
    """

    def __init__(self, emitter: Emitter, tracing: "Tracing", *, dead_letters: str) -> None:
        self._emitter = emitter
        self._tracing = tracing
        self._dead_letters = dead_letters

    async def emit(
        self, topic: TopicT, lease: Lease, *, headers: Any = None, **record: Any
    ) -> RecordMetadata:
        """Deliver the record; raises as the emitter."""
        tracing, name = self._tracing, topic.get_topic_name()
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": name,
            "messaging.destination.partition.id": str(record["partition"]),
        }
        is_dead = name == self._dead_letters
        if is_dead:
            tracing.fail("dead_letter")
        with tracing.span(f"send {name}", "producer", attributes) as span:
            if not is_dead:
                kept = [pair for pair in headers or () if pair[0] == BAGGAGE]
                own = [(name, text.encode()) for name, text in tracing.headers().items()]
                headers = [*kept, *own]
            place = await self._emitter.emit(topic, lease, headers=headers, **record)
            span.set({"messaging.kafka.offset": place.offset})
        return place


class TracedRun:
    """Puts each record into a span that began when the window took the record."""

    def __init__(self, run: Run, tracing: "Tracing", *, group: str) -> None:
        self._run = run
        self._tracing = tracing
        self._group = group

    async def __call__(self, event: Event, lease: Lease) -> None:
        """Bring the record to its outcome; raises as what is inside."""
        message, tracing = event.message, self._tracing
        taken_at: float | None = getattr(message, "time_in", None)
        queued_s = time.monotonic() - taken_at if taken_at is not None else 0.0
        tp = message.tp
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": tp.topic,
            "messaging.destination.partition.id": str(tp.partition),
            "messaging.kafka.offset": message.offset,
            "messaging.consumer.group.name": self._group,
        }
        parent = tracing.parent(as_text(message.headers))
        with tracing.span(
            f"process {tp.topic}", "consumer", attributes, parent=parent, since_s=queued_s
        ) as span:
            TRACE_ID.set(span.trace_id)
            if queued_s > QUEUED_S:
                tracing.past("wait in window", queued_s)
            await self._run(event, lease)
