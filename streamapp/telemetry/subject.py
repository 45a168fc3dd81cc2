"""The record that a log line is about: set once per record, read when a line is written."""

from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from structlog.typing import EventDict

from streamapp.telemetry.trace_headers import Headers, trace_id


class LoggedRecord(Protocol):
    """A record as it came from Kafka."""

    tp: Any  # of Faust: topic and partition
    offset: int

    @property
    def headers(self) -> Headers:
        """As its producer wrote them."""
        ...


class Subject(NamedTuple):
    """What the current task works on; ``message`` is None for what came over HTTP."""

    id: str
    message: LoggedRecord | None = None


#: Set by whoever begins to work on a record, in that record's own task.
SUBJECT: ContextVar[Subject | None] = ContextVar("subject", default=None)
#: Set where traces are on: a record without a trace of its own begins one.
TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")
#: What the response over HTTP tells its caller, of the request that the current task answers.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


def add_subject(logger: Any, name: str, event: EventDict) -> EventDict:
    """Add id, place and trace of the current record to a line, below what the line says itself."""
    subject, trace = SUBJECT.get(), TRACE_ID.get()
    if subject is None:
        return {"trace_id": trace, **event} if trace else event
    fields: dict[str, Any] = {"id": subject.id}
    if message := subject.message:
        fields |= {
            "topic": message.tp.topic,
            "partition": message.tp.partition,
            "offset": message.offset,
        }
        trace = trace or trace_id(message.headers) or ""
    if trace:
        fields["trace_id"] = trace
    return {**fields, **event}
