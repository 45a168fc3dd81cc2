"""The reference of records: what may be written, what comes back, and why something did not."""

import inspect
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from reference.fields import documented, in_words
from reference.markdown import code, page, section, table
from streamapp.errors import Failure, Kind
from streamapp.processors.registry import Processor, Registry
from streamapp.records.dead_letter import DeadLetter
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.records.usage import UsageRecord
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import topic_specs
from streamapp.streaming.flows.begun_flows import begun_topic

INTRO = """Records are JSON objects, UTF-8. `GET /asyncapi.json` of a worker has the same as JSON
Schemas, with the types of your own. [How a record travels](../how-it-works.md)."""

#: What the response's ``output`` is, by type.
OUTPUTS = {
    "generate": "text, or an object where the prompt has an output schema",
    "chat": "text. What stands before `messages` are OpenAI's parameters, sent as they are",
    "summarize": "text",
    "classify": '`{"label": ...}`, one of `labels`',
    "extract": "object that is valid against `schema`",
    "translate": "text",
    "embed": "list of vectors, in the order of `input`",
}


def records_page() -> str:
    """Return the page.

    Raises:
        LookupError: A type is new here, and its output is not told.
    """
    registry = Registry.load(())
    types = [registry.processor_for(type) for type in registry.types]
    return page(
        "Records",
        INTRO,
        _topics(),
        section("Request", "Unknown fields are refused. Common to all types:", _common()),
        *(section(f"Type `{one.type}`", _about(one), _fields(one.record)) for one in types),
        section("Response", _model(Response)),
        _dead_letter(),
        section("Usage record", _model(UsageRecord)),
    )


def _topics() -> str:
    settings = Settings.model_construct()  # the defaults, whatever the environment says
    rows = [
        (
            code(spec.name),
            "1" if spec.is_fixed else "`STREAMAPP_PARTITIONS`",
            ", ".join(code(f"{name}={value}") for name, value in spec.config.items()),
        )
        for spec in (*topic_specs(settings), begun_topic(settings))
    ]
    text = """Made at the start where they are missing. Requests with fewer partitions than
`STREAMAPP_PARTITIONS` are refused; more, as an operator may add, are answered once the ledger has
as many ([what becomes of them](../guarantees.md#its-topic-changes-under-the-workers)), and
`streamapp check` notes what to set. `llm` is `STREAMAPP_TOPIC_PREFIX`, `streamapp` is
`STREAMAPP_APP_ID`. What has no setting here has the broker's. `llm.flows` is there for flows with
`from = "latest"` and stays empty: on it the group commits which of them have begun."""
    return section("Topics", text, table(("topic", "partitions", "made with"), rows))


def _common() -> str:
    return _table(Request, Request.model_fields)


def _about(processor: Processor) -> str:
    text = inspect.cleandoc(processor.record.__doc__ or "").partition("\n\nAttributes:")[0]
    prompt = f" Its prompt is {code(processor.prompt)}." if processor.prompt else ""
    if processor.type not in OUTPUTS:
        raise LookupError(f"{processor.type}: say what its output is in reference/records.py")
    return f"{text}{prompt} Output: {OUTPUTS[processor.type]}."


def _fields(record: type[Request]) -> str:
    own = [name for name in record.model_fields if name not in Request.model_fields]
    if record.model_fields["prompt"].is_required():
        own.insert(0, "prompt")
    return _table(record, own)


def _model(model: type[BaseModel]) -> str:
    written = [name for name, field in model.model_fields.items() if not field.exclude]
    return _table(model, written)


def _table(model: type[BaseModel], names: Iterable[str]) -> str:
    mode: Any = "validation" if issubclass(model, Request) else "serialization"
    schema = model.model_json_schema(mode=mode)
    texts = documented(model)
    rows = []
    for name in names:
        field = model.model_fields[name]
        alias = field.alias or name
        takes = in_words(schema["properties"][alias], schema.get("$defs", {}))
        default = "required" if field.is_required() else _default(field.get_default())
        rows.append((code(alias), takes, default, texts.get(name, "")))
    if mode == "serialization":
        return table(("field", "holds", "meaning"), [(n, t, text) for n, t, _, text in rows])
    if not any(text for *_, text in rows):
        return table(("field", "takes", "default"), [row[:3] for row in rows])
    return table(("field", "takes", "default", "meaning"), rows)


def _default(value: object) -> str:
    return code(str(value).lower()) if isinstance(value, (bool, int)) else ""


def _dead_letter() -> str:
    example = DeadLetter.of(
        Failure(),
        stage="process",
        topic="llm.requests",
        partition=0,
        offset=0,
        request_id="r-1",
        now=datetime.now(UTC),
        headers={"streamapp.replays": b"1"},
    )
    missing = example.headers().keys() - HEADERS.keys() | set(Kind) - KINDS.keys()
    if missing:
        raise LookupError(f"{missing}: say what it means in reference/records.py")
    return section(
        "Dead letter",
        "Key, value and the record's own headers stand as they came, where they fit. No header of "
        "ours holds a value of them. [Looking at them, sending them again](../dead-letters.md)",
        table(("header", "holds"), [(code(name), text) for name, text in HEADERS.items()]),
        table(
            ("kind", "why", "sending it again helps"),
            [(code(kind), why, helps) for kind, (why, helps) in KINDS.items()],
        ),
    )


HEADERS = {
    "__streams.errors.exception": "class of the failure",
    "__streams.errors.message": "what to change, at most 500 characters",
    "__streams.errors.topic": "where the record stood",
    "__streams.errors.partition": "where the record stood",
    "__streams.errors.offset": "where the record stood",
    "streamapp.error.kind": "one of the kinds below",
    "streamapp.error.stage": "`decode`, `process` or `emit`",
    "streamapp.attempts": "attempts at providers, over all times it was sent again",
    "streamapp.request.id": "the record's id, or topic-partition-offset where it has none",
    "streamapp.first-failure": "when it failed first, ISO 8601",
    "streamapp.replays": "how often it was sent again; not there before the first time",
    "streamapp.headers": "`omitted`, where the record's own did not fit",
    "streamapp.value": "`omitted`, where the record itself did not fit: the value is null",
    "streamapp.key": "`omitted`, where not even its key did: the value is empty",
}

KINDS: Mapping[Kind, tuple[str, str]] = {
    Kind.UNDECODABLE: ("no UTF-8, no JSON, or nothing at all", "no: correct the producer"),
    Kind.INVALID: (
        "a field is missing, unknown or wrong, or the id came with other content before",
        "no: correct the record",
    ),
    Kind.UNKNOWN_TYPE: (
        "no processor answers its `type`",
        "once a worker has the type",
    ),
    Kind.PROMPT_ERROR: (
        "there is no such prompt, version or label, or a variable is missing",
        "once the prompt is there",
    ),
    Kind.REJECTED: ("the provider answered 400, 404 or 422", "once model or prompt is another"),
    Kind.CONTENT_FILTERED: ("a provider's policy refused it", "with another provider"),
    Kind.CONTEXT_LENGTH: ("it does not fit the model", "with a longer model"),
    Kind.OUTPUT_INVALID: (
        "the answer did not fit its schema, though asked for again",
        "often: models differ from call to call",
    ),
    Kind.TOO_LARGE: ("the record, or its answer, is above 1,000,000 bytes", "no"),
    Kind.EXPIRED: ("its own `deadline` passed first", "no: the deadline has passed"),
    Kind.RETRIES_EXHAUSTED: (
        "attempts failed until the active time was used up",
        "once the provider is well",
    ),
    Kind.BUDGET_EXCEEDED: ("a budget that dead-letters is spent", "in its next period"),
    Kind.STEP_LIMIT: (
        "an agent has no answer within its steps, tool calls, deadline or budget",
        "with wider bounds, or a prompt that says when to answer",
    ),
    Kind.INTERNAL: ("a bug of ours, or of your processor", "once it is corrected"),
}
