"""One operation of the HTTP interface as data, and the body of every error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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


class Access(NamedTuple):
    """What a key needs for an operation.

    Attributes:
        scopes: One of these; none where any key will do.
        is_of_group: Whether it shows the whole group: not for a key of one tenant.
    """

    scopes: tuple[str, ...] = ()
    is_of_group: bool = False


ANY_KEY = Access()
INFER, READ = Access(("infer",)), Access(("read",))
OUTCOME = Access(("infer", "read"))
GROUP = Access(("read",), is_of_group=True)
METRICS = Access(("metrics", "read"), is_of_group=True)
PROMPTS, REPLAY = Access(("prompts",)), Access(("replay",))
#: What no operation describes is for no key.
NOBODY = Access(("nobody",))


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
        places: What stands in the path, likewise; any text where nothing is said of it.
        is_open: Whether no key is needed.
        access: What a key needs.
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
    places: JSONSchemas = field(default_factory=dict, kw_only=True)
    is_open: bool = field(default=False, kw_only=True)
    access: Access = field(default=ANY_KEY, kw_only=True)

    @property
    def answers(self) -> Mapping[int, Any]:
        """Return what each status holds."""
        return {200: self.answer, **self.others}

    @property
    def failures(self) -> Sequence[int]:
        """Return the statuses of errors, keys and foreign pages apart."""
        return sorted({*self.errors, *(READING if self.body else ())})
