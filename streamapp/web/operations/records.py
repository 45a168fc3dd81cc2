"""The operations on records, answered at once or by way of the topic."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from streamapp.records.request import ID_LIMIT
from streamapp.records.response import Response
from streamapp.web.operations.operation import ANSWERING, INFER, OUTCOME, RECORD, Operation


class Step(TypedDict):
    """A step of a record: a call of the model or of a tool, or a coroutine of its own."""

    number: str
    kind: Literal["model", "tool", "step"]
    name: str
    outcome: Literal["waiting", "running", "done", "replayed", "failed"]
    duration_s: float


class Pending(TypedDict):
    """A record that is accepted or taken, and not finished; its last steps while it runs."""

    id: str
    status: Literal["pending"]
    steps: NotRequired[list[Step]]


class Dead(TypedDict):
    """A record that ended as a dead letter."""

    id: str
    status: Literal["dead"]
    kind: str | None


class Accepted(TypedDict):
    """The records of a batch, in their order."""

    ids: list[str]
    status: Literal["pending"]


_WAIT = {"wait": {"type": "number", "minimum": 0, "description": "Longest wait, seconds."}}

OPERATIONS = (
    Operation(
        "POST",
        "/v1/generate",
        "Answer one record, or a prompt with variables",
        Response,
        body=RECORD,
        streams=True,
        errors=ANSWERING,
        access=INFER,
    ),
    Operation(
        "POST",
        "/v1/requests",
        "Write a record to the topic, or one a line",
        Response | Dead,
        others={202: Pending | Accepted},
        body=RECORD,
        lines=True,
        errors=(404, 500, 503),
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
        access=INFER,
    ),
    Operation(
        "GET",
        "/v1/requests/{id}",
        "Tell what became of a record, at any worker",
        Response | Pending | Dead,
        errors=(404, 422),
        places={"id": {"maxLength": ID_LIMIT}},
        query=_WAIT,
        access=OUTCOME,
    ),
)
