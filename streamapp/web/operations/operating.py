"""What operators and their tools ask, and the documents."""

from typing import Any, Literal

from typing_extensions import TypedDict

from streamapp.web.operations.operation import EVENTS, HTML, TEXT, Operation


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


def _probe(path: str, summary: str, answer: type) -> Operation:
    return Operation("GET", path, summary, answer, others={503: answer}, is_open=True)


OPERATIONS = (
    Operation(
        "GET",
        "/v1/live",
        "Follow this worker's numbers and outcomes",
        EVENTS,
        streams=True,
        errors=(503,),
    ),
    Operation("GET", "/metrics", "Everything that is counted, for Prometheus", TEXT),
    _probe("/livez", "Whether the process should be left alone", Liveness),
    _probe("/healthz", "The older name of /livez", Liveness),
    _probe("/readyz", "Whether the worker does its work", Readiness),
    Operation("GET", "/version", "What runs here", Version),
)

DOCUMENTS = (
    Operation("GET", "/openapi.json", "This document", dict[str, Any]),
    Operation("GET", "/asyncapi.json", "The topics, their keys and records", dict[str, Any]),
    Operation("GET", "/docs", "A page that shows this document", HTML, is_open=True),
    Operation("GET", "/", "The dashboard", HTML, is_open=True),
)
