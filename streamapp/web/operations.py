"""What can be done over HTTP, as data: the document of the interface is made of it.

A view without an entry here, or an entry without a view, fails a test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from streamapp.prompts.settings import PromptSettings
from streamapp.records.request import ID_LIMIT
from streamapp.records.response import Response
from streamapp.web import dead_letters, prompts
from streamapp.web import openai_shapes as shapes

JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/jsonl"

#: In place of a body's type: any record of the registry, or the short form of ``generate``.
RECORD = "record"


class Problem(TypedDict):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(TypedDict):
    """The body of every error."""

    error: Problem


class CheckBody(TypedDict):
    """One thing that must hold."""

    ok: bool
    detail: str


class Liveness(TypedDict):
    """Whether the process should be left alone."""

    status: Literal["ok", "failed"]
    checks: dict[str, CheckBody]


class Readiness(TypedDict):
    """Whether the worker does its work."""

    status: Literal["ok", "degraded", "failed"]
    checks: dict[str, CheckBody]
    degraded: list[str]


class Version(TypedDict):
    """What runs here."""

    name: Literal["streamapp"]
    version: str


class Pending(TypedDict):
    """A record that is accepted or taken, and not finished."""

    id: str
    status: Literal["pending"]


class Dead(TypedDict):
    """A record that ended as a dead letter."""

    id: str
    status: Literal["dead"]
    kind: str | None


class Accepted(TypedDict):
    """The records of a batch, in their order."""

    ids: list[str]
    status: Literal["pending"]


class PromptVersionBody(TypedDict):
    """One text of a prompt; never changes."""

    version: int
    body: str
    settings: PromptSettings
    author: str
    message: str
    created_at: str | None


class PromptBody(TypedDict):
    """A prompt: all its versions, and what points at them."""

    name: str
    versions: list[PromptVersionBody]
    labels: dict[str, int]
    split: dict[str, int] | None
    protected: list[str]


class ChangedPrompt(PromptBody):
    """A prompt after a change; ``version`` is the one that the change was about."""

    version: NotRequired[int]


class PromptSummary(TypedDict):
    """A prompt without its texts: the numbers of its versions."""

    name: str
    versions: list[int]
    labels: dict[str, int]
    split: dict[str, int] | None
    protected: list[str]


class PromptList(TypedDict):
    """All prompts, by name."""

    prompts: list[PromptSummary]


class VariantBody(TypedDict):
    """What the records of one version and label came to, over all workers that answered."""

    version: int
    label: str | None
    calls: int
    errors: int
    faults: int
    invalid_outputs: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    duration_s: float
    mean_duration_s: float | None


class PromptStats(TypedDict):
    """A prompt's variants, since each worker's start."""

    name: str
    workers: int
    variants: list[VariantBody]


#: Statuses of whatever is answered synchronously by the processors.
ANSWERING = (404, 408, 413, 415, 422, 429, 500, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        summary: One line for a reader.
        tag: Where it is listed.
        body: Its type, ``RECORD``, or None.
        lines: Whether a body of one record a line is taken too.
        answers: What each status holds; a type, or a media type with free content.
        errors: Statuses with an `ErrorBody`, besides 401 and 403.
        headers: Request headers, as JSON Schemas.
        query: Query parameters, likewise.
        is_open: Whether no key is needed.
    """

    method: str
    path: str
    summary: str
    tag: str
    body: Any = None
    lines: bool = False
    answers: Mapping[int, Any] = field(default_factory=dict)
    streams: bool = False
    errors: Sequence[int] = ()
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_open: bool = False


#: Statuses of a change of prompts.
_CHANGING = (404, 408, 409, 413, 415, 422, 500, 503)

_WAIT = {"wait": {"type": "number", "minimum": 0, "description": "Longest wait, seconds."}}

OPERATIONS: Sequence[Operation] = (
    Operation(
        method="POST",
        path="/v1/generate",
        summary="Answer one record, or a prompt with variables",
        tag="Records",
        body=RECORD,
        answers={200: Response},
        streams=True,
        errors=ANSWERING,
    ),
    Operation(
        method="POST",
        path="/v1/requests",
        summary="Write a record to the topic, or one a line",
        tag="Records",
        body=RECORD,
        lines=True,
        answers={200: Response | Dead, 202: Pending | Accepted},
        errors=(404, 408, 413, 415, 422, 500, 503),
        headers={
            "Idempotency-Key": {
                "type": "string",
                "minLength": 1,
                "maxLength": ID_LIMIT,
                "description": "The record's id: the same twice is one record.",
            },
            "Streamapp-Key": {
                "type": "string",
                "description": "The record's Kafka key, which decides its order.",
            },
        },
        query=_WAIT,
    ),
    Operation(
        method="GET",
        path="/v1/requests/{id}",
        summary="Tell what became of a record, at any worker",
        tag="Records",
        answers={200: Response | Pending | Dead},
        errors=(404, 422),
        query=_WAIT,
    ),
    Operation(
        method="POST",
        path="/v1/chat/completions",
        summary="Continue a conversation, as OpenAI does",
        tag="OpenAI",
        body=shapes.ChatCompletionRequest,
        answers={200: shapes.ChatCompletion},
        streams=True,
        errors=ANSWERING,
    ),
    Operation(
        method="POST",
        path="/v1/embeddings",
        summary="Turn texts into vectors, as OpenAI does",
        tag="OpenAI",
        body=shapes.EmbeddingsRequest,
        answers={200: shapes.Embeddings},
        errors=ANSWERING,
    ),
    Operation(
        method="GET",
        path="/v1/models",
        summary="List the configured routes",
        tag="OpenAI",
        answers={200: shapes.ModelList},
    ),
    Operation(
        method="GET",
        path="/v1/models/{model}",
        summary="Tell of one configured route",
        tag="OpenAI",
        answers={200: shapes.ModelCard},
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/v1/prompts",
        summary="List the prompts, without their texts",
        tag="Prompts",
        answers={200: PromptList},
        errors=(503,),
    ),
    Operation(
        method="GET",
        path="/v1/prompts/{name}",
        summary="Show a prompt with all its versions",
        tag="Prompts",
        answers={200: PromptBody},
        errors=(404, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/prompts/{name}/stats",
        summary="Tell what the versions of a prompt came to, over all workers",
        tag="Prompts",
        answers={200: PromptStats},
        errors=(503,),
    ),
    Operation(
        method="POST",
        path="/v1/prompts/{name}/versions",
        summary="Publish a version; the same content again is the version it was",
        tag="Prompts",
        body=prompts.Publish,
        answers={200: ChangedPrompt, 201: ChangedPrompt},
        errors=_CHANGING,
    ),
    Operation(
        method="PUT",
        path="/v1/prompts/{name}/labels/{label}",
        summary="Point a label at a version",
        tag="Prompts",
        body=prompts.Move,
        answers={200: ChangedPrompt},
        errors=_CHANGING,
    ),
    Operation(
        method="PUT",
        path="/v1/prompts/{name}/split",
        summary="Give labels shares of the records that name the prompt alone; null ends it",
        tag="Prompts",
        body=prompts.Shares,
        answers={200: ChangedPrompt},
        errors=_CHANGING,
        query={"force": {"type": "boolean", "description": "Also where it is protected."}},
    ),
    Operation(
        method="GET",
        path="/v1/dead-letters",
        summary="List the newest dead letters",
        tag="Dead letters",
        answers={200: dead_letters.DeadLetterList},
        errors=(422, 503, 504),
        query={
            "kind": {"type": "string", "description": "Only this kind."},
            "type": {"type": "string", "description": "Only this record type."},
            "id": {"type": "string", "description": "Only this record."},
            "q": {"type": "string", "description": "Only what holds this text."},
            "limit": {"type": "integer", "minimum": 1, "maximum": dead_letters.LISTED},
        },
    ),
    Operation(
        method="POST",
        path="/v1/dead-letters/replay",
        summary="Send dead letters' records again, at a rate",
        tag="Dead letters",
        body=dead_letters.Replay,
        answers={200: dead_letters.ReplayResults},
        errors=(408, 413, 415, 422, 503, 504),
    ),
    Operation(
        method="GET",
        path="/v1/live",
        summary="Follow this worker's numbers and outcomes",
        tag="Operation",
        streams=True,
        answers={200: EVENTS},
        errors=(503,),
    ),
    Operation(
        method="GET",
        path="/metrics",
        summary="Everything that is counted, for Prometheus",
        tag="Operation",
        answers={200: "text/plain"},
    ),
    Operation(
        method="GET",
        path="/livez",
        summary="Whether the process should be left alone",
        tag="Operation",
        answers={200: Liveness, 503: Liveness},
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/healthz",
        summary="The older name of /livez",
        tag="Operation",
        answers={200: Liveness, 503: Liveness},
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/readyz",
        summary="Whether the worker does its work",
        tag="Operation",
        answers={200: Readiness, 503: Readiness},
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/version",
        summary="What runs here",
        tag="Operation",
        answers={200: Version},
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        summary="This document",
        tag="Documents",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/asyncapi.json",
        summary="The topics, their keys and records",
        tag="Documents",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/docs",
        summary="A page that shows this document",
        tag="Documents",
        answers={200: "text/html"},
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/",
        summary="The dashboard",
        tag="Documents",
        answers={200: "text/html"},
        is_open=True,
    ),
)
