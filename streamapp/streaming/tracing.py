"""Spans of a record between two topics: from the window to the headers of its outcome."""

import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from faust.types import RecordMetadata, TopicT

from streamapp.streaming.delivery.emitter import RecordEmitter, Send
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.taken_record import Event
from streamapp.telemetry.subject import TRACE_ID
from streamapp.telemetry.trace_headers import PARENT, STATE, as_text

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing

Run = Callable[[Event, Lease], Coroutine[Any, Any, None]]

#: A shorter wait in the window is no span: most records do not wait at all.
QUEUED_S = 0.001


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
        parent = tracing.parent(as_text(message.headers))
        span = tracing.begin(f"process {tp.topic}", "consumer", parent=parent, since_s=queued_s)
        with span, tracing.shared(span):
            TRACE_ID.set(span.trace_id)
            if span.is_sampled:
                span.set(
                    {
                        "messaging.system": "kafka",
                        "messaging.operation.name": "process",
                        "messaging.destination.name": tp.topic,
                        "messaging.destination.partition.id": str(tp.partition),
                        "messaging.kafka.offset": message.offset,
                        "messaging.consumer.group.name": self._group,
                    }
                )
                if queued_s > QUEUED_S:
                    tracing.past("wait in window", queued_s)
            await self._run(event, lease)


class TracedEmitter:
    """Puts each delivery into a span; an answer's headers name it, for whoever reads on.

    Dead letters keep the headers of their record, so that a replay goes on with its trace.
    """

    def __init__(
        self, emitter: RecordEmitter, tracing: "Tracing", *, dead_letters: Collection[str]
    ) -> None:
        self._emitter = emitter
        self._tracing = tracing
        self._dead_letters = dead_letters

    async def emit(
        self, topic: TopicT, lease: Lease, *, headers: Any = None, **record: Any
    ) -> RecordMetadata:
        """Deliver the record; raises as the emitter."""
        tracing, name = self._tracing, topic.get_topic_name()
        is_dead = name in self._dead_letters
        above = tracing.current.get()
        if is_dead and above is not None:
            above.fail("dead_letter")
        with tracing.span(f"send {name}", "producer") as span:
            if not is_dead:
                kept = [pair for pair in headers or () if pair[0] not in (PARENT, STATE)]
                headers = [*kept, *_encoded(tracing.headers())]
            place = await self._emitter.emit(topic, lease, headers=headers, **record)
            if span.is_sampled:
                span.set(
                    {
                        "messaging.system": "kafka",
                        "messaging.operation.name": "send",
                        "messaging.destination.name": name,
                        "messaging.destination.partition.id": str(record["partition"]),
                        "messaging.kafka.offset": place.offset,
                    }
                )
        return place


def traced_send(send: Send, tracing: "Tracing") -> Send:
    """Return ``send`` for records that go on with the current trace, as those over HTTP do."""

    def traced(
        topic: str, key: Any, value: Any, partition: Any, timestamp: Any, headers: Any
    ) -> Any:
        own = _encoded(tracing.headers())
        return send(topic, key, value, partition, timestamp, [*(headers or ()), *own])

    return traced


def _encoded(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in headers.items()]
