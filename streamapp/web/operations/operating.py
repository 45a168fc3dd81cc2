"""Operations for operators and their tools, and the documents."""

from typing import Any, Literal

from typing_extensions import TypedDict

from streamapp.web.input_records import LAST_OFFSET, LAST_PARTITION
from streamapp.web.operations.operation import (
    EVENTS,
    GROUP,
    HTML,
    METRICS,
    TEXT,
    Operation,
)
from streamapp.web.operations.records import Step
from streamapp.web.own_key import KeyBody


class CheckBody(TypedDict):
    """One thing that must hold."""

    ok: bool
    detail: str


class Liveness(TypedDict):
    """Whether the process should be left alone."""

    status: Literal["ok", "failed"]
    checks: dict[str, CheckBody]


class Readiness(TypedDict):
    """Whether the worker answers HTTP, and takes records: where it takes none, a check says why."""

    status: Literal["ok", "degraded", "failed"]
    checks: dict[str, CheckBody]
    degraded: list[str]


class VersionBody(TypedDict):
    """What runs here, and for which group; a key of a tenant is not told its brokers."""

    name: Literal["streamapp"]
    version: str
    app_id: str
    brokers: list[str] | None


class HistoryPoint(TypedDict):
    """Rates per second, lag and times at one time, seconds since the epoch; null is unknown.

    ``waited`` is how many calls wait for a limit.
    """

    at: float
    answered: float
    dead: float
    failed: float
    tokens: float
    cost: float
    waited: float
    lag: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class WorkerHistory(TypedDict):
    """The last three minutes of a worker by seconds, and its last hour by minutes."""

    url: str
    seconds: list[HistoryPoint]
    minutes: list[HistoryPoint]


class HistoryBody(TypedDict):
    """The workers that answer, this one first."""

    workers: list[WorkerHistory]


class FlowBody(TypedDict):
    """A flow with what Kafka tells of it; rate and cost are null where nothing is known yet.

    The rate is that of committed offsets, records a second; the cost that of the last 24 hours,
    in dollars, which all workers have counted for ``cost_counted_s`` seconds, since their starts.
    Answers whose price is unknown are counted beside it; where those are alone, it is null.
    """

    name: str
    input: str
    outputs: list[str]
    reply_topics: list[str]
    dead_letter_topic: str
    partitions: int
    lag: int
    rate_per_s: float | None
    dead_letters: int
    cost_usd_day: str | None
    unpriced_day: int | None
    cost_counted_s: float | None


class FlowsBody(TypedDict):
    """All flows, the built-in one first; costs lack what ``missing`` workers do not tell."""

    flows: list[FlowBody]
    missing: int


class RecordHeader(TypedDict):
    """A header of a Kafka record; several may have one name."""

    name: str
    value: str | None


class InputRecordBody(TypedDict):
    """A record of a flow's input, its bytes as text; ``at`` in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    at: float
    key: str | None
    headers: list[RecordHeader]
    record: str | None


class Latency(TypedDict):
    """Seconds within which a share of the last minute's records was answered."""

    p50: float | None
    p95: float | None
    p99: float | None


class LedgerBody(TypedDict):
    """What the worker remembers of finished records."""

    ids: int
    bytes: int


class PartitionBody(TypedDict):
    """One partition of the requests: records not yet committed, and taken of them."""

    partition: int
    lag: int | None
    taken: int


#: Label values and value of each series of a counter.
Series = list[tuple[list[str], float]]


class RecordOfSteps(TypedDict):
    """A record that runs and has begun more than one step; the last of them."""

    id: str
    type: str
    age_s: float
    begun: int
    last: Step


class WorkerNow(TypedDict):
    """A worker's numbers; counters count from its start."""

    url: str
    host: str
    version: str
    app_id: str
    max_in_flight: int
    types: list[str]
    uptime_s: float
    ready: bool
    checks: dict[str, tuple[bool, str]]
    degraded: list[str]
    draining: bool
    in_flight: int
    pending: int
    oldest_uncommitted_s: float
    ledger: LedgerBody
    latency_s: Latency
    records: Series
    dead_letters: Series
    calls: Series
    tokens: Series
    cost_usd: Series
    key_tokens: Series
    key_cost_usd: Series
    cache: Series
    rate_limit_wait_s: Series
    rate_limit_waiting: Series
    retries: Series
    breakers: Series
    flow_cost_usd_day: dict[str, str]
    flow_unpriced_day: dict[str, int]
    open_breakers: list[str]
    agents: list[RecordOfSteps]
    partitions: list[PartitionBody]
    flows_lag: int | None


class WorkerBody(TypedDict):
    """A worker of the group; ``now`` is null where it does not answer.

    Where ``members`` is more than 1, so many have the address, and ``now`` is of one of them.
    """

    url: str
    members: int
    partitions: list[int]
    now: WorkerNow | None


class Workers(TypedDict):
    """The group, the worker that was asked first."""

    workers: list[WorkerBody]


def _probe(path: str, summary: str, answer: type) -> Operation:
    return Operation("GET", path, summary, answer, others={503: answer}, is_open=True)


OPERATIONS = (
    Operation(
        "GET",
        "/v1/live",
        "Follow the group's numbers and outcomes",
        EVENTS,
        streams=True,
        errors=(422, 503),
        query={"count": {"type": "integer", "minimum": 0, "maximum": 86_400}},
        access=GROUP,
    ),
    Operation(
        "GET",
        "/v1/workers",
        "Tell what every worker of the group does",
        Workers,
        access=GROUP,
    ),
    Operation(
        "GET",
        "/v1/history",
        "Tell what every worker of the group did in the last hour",
        HistoryBody,
        access=GROUP,
    ),
    Operation(
        "GET",
        "/v1/flows",
        "Tell of every flow: its topics, lag, rate, dead letters and cost of a day",
        FlowsBody,
        errors=(503,),
        access=GROUP,
    ),
    Operation(
        "GET",
        "/v1/flows/{flow}/records/{partition}/{offset}",
        "Show one record of a flow's input, while the topic holds it",
        InputRecordBody,
        errors=(404, 422, 503, 504),
        places={
            "partition": {"type": "integer", "minimum": 0, "maximum": LAST_PARTITION},
            "offset": {"type": "integer", "minimum": 0, "maximum": LAST_OFFSET},
        },
        access=GROUP,
    ),
    Operation(
        "GET",
        "/metrics",
        "Everything that is counted, for Prometheus",
        TEXT,
        access=METRICS,
    ),
    _probe("/livez", "Whether the process should be left alone", Liveness),
    _probe("/healthz", "The older name of /livez", Liveness),
    _probe("/readyz", "Whether the worker answers HTTP; a rebalance is no reason", Readiness),
    Operation("GET", "/version", "What runs here", VersionBody),
    Operation("GET", "/v1/key", "Tell what the key that asks may do", KeyBody),
)

DOCUMENTS = (
    Operation("GET", "/openapi.json", "This document", dict[str, Any]),
    Operation("GET", "/asyncapi.json", "The topics, their keys and records", dict[str, Any]),
    Operation("GET", "/docs", "A page that shows this document", HTML, is_open=True),
    Operation("GET", "/", "The dashboard", HTML, is_open=True),
)
