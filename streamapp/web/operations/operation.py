"""One operation of the HTTP interface as data, and the body of every error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import TypedDict

EVENTS, HTML, TEXT = "text/event-stream", "text/html", "text/plain"

#: In place of a body's type: any record of the registry, or the short form of ``generate``.
RECORD = "record"

#: What reading a body can come to, besides the errors of the operation.
READING = (408, 413, 415, 422)
#: What having a record answered can come to.
ANSWERING = (404, 429, 500, 503, 504)

JSONSchemas = Mapping[str, Mapping[str, Any]]


class Problem(TypedDict):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(TypedDict):
    """The body of every error."""

    error: Problem


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        summary: One line for a reader.
        answer: What 200 holds: a type, or a media type with free content.
        others: What other statuses than 200 hold.
        body: Its type, ``RECORD``, or None.
        lines: Whether a body of one record a line is taken too.
        streams: Whether an answer may be server-sent events.
        errors: Statuses with an `ErrorBody`, besides those of every operation and of a body.
        headers: Request headers, as JSON Schemas.
        query: Query parameters, likewise.
        is_open: Whether no key is needed.
    """

    method: str
    path: str
    summary: str
    answer: Any
    others: Mapping[int, Any] = field(default_factory=dict, kw_only=True)
    body: Any = field(default=None, kw_only=True)
    lines: bool = field(default=False, kw_only=True)
    streams: bool = field(default=False, kw_only=True)
    errors: Sequence[int] = field(default=(), kw_only=True)
    headers: JSONSchemas = field(default_factory=dict, kw_only=True)
    query: JSONSchemas = field(default_factory=dict, kw_only=True)
    is_open: bool = field(default=False, kw_only=True)

    @property
    def answers(self) -> Mapping[int, Any]:
        """Return what each status holds."""
        return {200: self.answer, **self.others}

    @property
    def failures(self) -> Sequence[int]:
        """Return the statuses of errors, keys and foreign pages apart."""
        return sorted({*self.errors, *(READING if self.body else ())})
