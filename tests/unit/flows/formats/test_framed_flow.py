"""Flows of the file over framed formats, against a registry in memory."""

import json
import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest

from streamapp.errors import (
    ConfigurationError,
    Failure,
    InvalidRecord,
    OutputInvalid,
    SchemaRefused,
    Undecodable,
)
from streamapp.flows.file_flow import FileFlow
from streamapp.flows.formats.choice import Formats
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.registry import Registry
from streamapp.records.response import Response
from streamapp.settings.flows import FlowSettings
from tests.support.fakeregistry import FakeRegistry

CANARY = "canary-7f3a"
REGISTRY = Registry.load()

FIELDS: list[Any] = [
    {"name": "body", "type": "string"},
    {
        "name": "price",
        "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4},
    },
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "who", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "raw", "type": "bytes"},
    {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 3}},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
    {"name": "note", "type": ["null", "string"], "default": None},
]
REVIEW = {"type": "record", "name": "Review", "fields": FIELDS}
EVOLVED = {**REVIEW, "fields": [*FIELDS, {"name": "shop", "type": "string", "default": "none"}]}
LABELLED = {**REVIEW, "fields": [*FIELDS, {"name": "label", "type": "string"}]}
VALUE: dict[str, Any] = {
    "body": "late",
    "price": Decimal("12345678.1000"),
    "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "day": date(2026, 1, 2),
    "who": UUID("12345678-1234-5678-1234-567812345678"),
    "raw": b"\x00\xff\x80",
    "mark": b"\x01\x02\xff",
    "kind": "B",
    "note": None,
}


def _avro(id: int, schema: Any, value: Any) -> bytes:
    stream = BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return b"\x00" + struct.pack(">I", id) + stream.getvalue()


def _read(schema: Any, value: bytes | None) -> tuple[int, Any]:
    assert value is not None
    id = struct.unpack(">I", value[1:5])[0]
    return id, fastavro.schemaless_reader(BytesIO(value[5:]), fastavro.parse_schema(schema), None)


def _schema(schema: Any) -> Schema:
    return Schema("AVRO", json.dumps(schema))


def _flow(registry: FakeRegistry | None, **settings: Any) -> FileFlow:
    defaults: dict[str, Any] = {
        "input": "shop.reviews",
        "output": "shop.labelled",
        "type": "classify",
        "fields": {"text": "{{ value.body }}", "labels": ["good", "bad"]},
        "format": "avro",
    }
    store = None if registry is None else SchemaStore(registry)
    return FileFlow("labels", FlowSettings(**(defaults | settings)), REGISTRY, Formats(store))


def _record(value: bytes | None, **others: Any) -> SourceRecord:
    place: dict[str, Any] = {"topic": "shop.reviews", "partition": 2, "offset": 7, "key": b"k"}
    return SourceRecord(value=value, **(place | others))


def _response(output: Any) -> Response:
    return Response(
        id="i",
        type="classify",
        output=output,
        model="m-1",
        provider="p",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def _answered(flow: FileFlow, record: SourceRecord, output: Any) -> bytes | None:
    await flow.load(record)
    assert flow.is_loaded(record)
    assert flow.read(record) is not None
    [emission] = flow.write(record, _response(output))
    assert emission.key == record.key
    return emission.value


async def _request(flow: FileFlow, record: SourceRecord) -> Any:
    if not flow.is_loaded(record):
        await flow.load(record)
    return flow.read(record)


async def test_avro_survives_a_merge_unchanged() -> None:
    """Decimals, times, bytes and the other logical types come out as they went in."""
    registry = FakeRegistry()
    source = registry.add("shop.reviews-value", _schema(REVIEW))
    target = registry.add("shop.labelled-value", _schema(LABELLED))
    flow = _flow(registry, output_format="avro", shape="merge")

    value = await _answered(flow, _record(_avro(source, REVIEW, VALUE)), {"label": "bad"})

    assert _read(LABELLED, value) == (target, {**VALUE, "label": "bad"})


async def test_a_merge_into_avro_leaves_out_fields_of_the_source_alone() -> None:
    """An answer without a field of its own in the schema would be paid, and lost in silence."""
    registry = FakeRegistry()
    source = registry.add("shop.reviews-value", _schema(EVOLVED))
    label = {"name": "label", "type": "string", "default": ""}
    target = {**REVIEW, "fields": [*FIELDS, label]}
    registry.add("shop.labelled-value", _schema(target))
    record = _record(_avro(source, EVOLVED, {**VALUE, "shop": "north"}))
    whole, lossy = (
        _flow(registry, output_format="avro", shape="merge", merge_into=name)
        for name in ("label", "lable")
    )

    _, written = _read(target, await _answered(whole, record, "bad"))
    with pytest.raises(OutputInvalid, match=r"schema 2 of shop\.labelled-value: it has no field l"):
        await _answered(lossy, record, "bad")

    assert written == {**VALUE, "label": "bad"}


async def test_a_schema_evolves_in_the_middle() -> None:
    """Each value is read by the schema that it was written by."""
    registry = FakeRegistry()
    first = registry.add("shop.reviews-value", _schema(REVIEW))
    second = registry.add("shop.reviews-value", _schema(EVOLVED))
    flow = _flow(registry, tenant="{{ value.shop | default('old') }}")
    records = [
        _record(_avro(first, REVIEW, VALUE)),
        _record(_avro(second, EVOLVED, {**VALUE, "shop": "north"})),
        _record(_avro(first, REVIEW, VALUE)),
    ]

    tenants = []
    for record in records:
        await flow.load(record)
        request = flow.read(record)
        assert request is not None
        tenants.append(request.metadata["tenant"])

    assert tenants == ["old", "north", "old"]


async def test_avro_becomes_json() -> None:
    """Merged into JSON, decimals and times are text, and bytes are base64."""
    registry = FakeRegistry()
    source = registry.add("shop.reviews-value", _schema(REVIEW))
    flow = _flow(registry, shape="merge", merge_into="answer")

    value = await _answered(flow, _record(_avro(source, REVIEW, VALUE)), {"label": "bad"})

    merged = json.loads(value or b"")
    assert merged["price"] == "12345678.1000"
    assert merged["at"] == "2026-01-02T03:04:05.678901Z"
    assert merged["raw"] == "AP-A"
    assert merged["answer"] == {"label": "bad"}


async def test_a_key_in_avro_is_read_and_written_as_it_came() -> None:
    """Templates see its fields; the record written has the same bytes."""
    registry = FakeRegistry()
    key = {"type": "record", "name": "Key", "fields": [{"name": "shop", "type": "string"}]}
    id = registry.add("shop.reviews-key", _schema(key))
    flow = _flow(registry, format="json", key_format="avro", tenant="{{ key.shop }}")
    raw = _avro(id, key, {"shop": "north"})
    record = _record(b'{"body": "late"}', key=raw)

    assert not flow.is_loaded(record)
    await _answered(flow, record, {"label": "bad"})

    request = flow.read(record)
    assert request is not None
    assert request.metadata == {"tenant": "north"}


async def test_json_schema_evolves_in_the_middle() -> None:
    """Each value is held to the schema that it was written by, the older one as well."""
    registry = FakeRegistry()
    first = registry.add("shop.reviews-value", Schema("JSON", '{"required": ["body"]}'))
    second = registry.add("shop.reviews-value", Schema("JSON", '{"required": ["body", "shop"]}'))
    flow = _flow(registry, format="json-schema", tenant="{{ value.shop | default('old') }}")
    old, new = b'{"body": "late"}', b'{"body": "late", "shop": "north"}'

    found = [
        await _request(flow, _record(_framed(id, value)))
        for id, value in ((first, old), (second, new), (first, old))
    ]

    assert [request.metadata["tenant"] for request in found] == ["old", "north", "old"]
    with pytest.raises(
        InvalidRecord,
        match=f"the value does not fit its schema {second}: required: 'shop' is missing",
    ):
        await _request(flow, _record(_framed(second, old)))


@pytest.mark.parametrize("output_format", ["json", "json-schema"])
async def test_json_schema_keeps_digits(output_format: str) -> None:
    """A merge of JSON leaves what it does not replace as it was written, in either frame."""
    registry = FakeRegistry()
    id = registry.add("shop.reviews-value", Schema("JSON", '{"required": ["body"]}'))
    out = registry.add("shop.labelled-value", Schema("JSON", '{"required": ["label"]}'))
    flow = _flow(registry, format="json-schema", output_format=output_format, shape="merge")
    source = b'{"body": "late", "price": 1.10, "big": 12345678901234567890123}'

    value = await _answered(flow, _record(_framed(id, source)), {"label": "bad"})

    merged = b'{"body":"late","price":1.10,"big":12345678901234567890123,"label":"bad"}'
    expected = merged if output_format == "json" else _framed(out, merged)
    assert (value or b"").replace(b'": ', b'":') == expected.replace(b'": ', b'":')


def _framed(id: int, value: bytes) -> bytes:
    return b"\x00" + struct.pack(">I", id) + value


@pytest.mark.parametrize("has_schema", [True, False])
async def test_debezium_gives_the_row(has_schema: bool) -> None:
    """The row after the change is the value; deletes and tombstones are skipped."""
    flow = _flow(None, format="json", unwrap="debezium", shape="merge")

    def event(op: str, after: str) -> SourceRecord:
        change = f'{{"op": "{op}", "before": null, "after": {after}, "source": {{}}}}'
        whole = f'{{"schema": {{}}, "payload": {change}}}' if has_schema else change
        return _record(whole.encode())

    created = event("c", '{"body": "late", "price": 1.10}')
    value = await _answered(flow, created, {"label": "bad"})

    assert value == b'{"body":"late","price":1.10,"label":"bad"}'.replace(b':"late', b':"late')
    assert flow.read(event("d", "null")) is None
    assert flow.read(_record(None)) is None
    with pytest.raises(InvalidRecord, match="no change event of Debezium"):
        flow.read(_record(b'{"body": "late"}'))


@pytest.mark.parametrize(
    ("value", "error", "problem"),
    [
        (b'{"body": "' + CANARY.encode() + b'"}', Undecodable, "not framed by a schema registry"),
        (_framed(99, CANARY.encode()), Undecodable, "the schema registry has no schema 99"),
        (_framed(1, b"\x7f" + CANARY.encode()), Undecodable, "does not fit its schema 1"),
        (_framed(2, CANARY.encode()), Undecodable, "schema 2 is JSON"),
    ],
    ids=["unframed", "unknown id", "garbage", "another format"],
)
async def test_a_value_that_is_none_names_flow_and_schema(
    value: bytes, error: type[Failure], problem: str
) -> None:
    """What cannot be read is a dead letter that names flow and schema, and no value."""
    registry = FakeRegistry()
    registry.add("shop.reviews-value", _schema(REVIEW))
    registry.add("shop.others-value", Schema("JSON", "{}"))
    flow, record = _flow(registry), _record(value)

    with pytest.raises(error, match=problem) as failed:
        await _request(flow, record)

    assert str(failed.value).startswith("[flows.labels] ")
    assert CANARY not in str(failed.value)


@pytest.mark.parametrize(
    ("settings", "kind", "schema", "problem"),
    [
        ({"output_format": "avro"}, "AVRO", LABELLED, "label"),
        ({"output_format": "json-schema"}, "JSON", {"required": ["x"]}, "required"),
    ],
    ids=["avro", "json-schema"],
)
async def test_an_output_that_breaks_its_schema(
    settings: Any, kind: Any, schema: Any, problem: str
) -> None:
    """It is `output_invalid`, and names what the schema says and no value."""
    registry = FakeRegistry()
    registry.add("shop.labelled-value", Schema(kind, json.dumps(schema)))
    flow = _flow(registry, format="json", shape="output", **settings)
    record = _record(b'{"body": "x"}')

    with pytest.raises(OutputInvalid, match=problem) as failed:
        await _answered(flow, record, {"label": 5, CANARY: CANARY})

    assert CANARY not in str(failed.value)


async def test_a_schema_of_a_file_is_registered(tmp_path: Path) -> None:
    """With `register_schemas` the file's schema is what the output is written by."""
    registry = FakeRegistry()
    file = tmp_path / "labelled.avsc"
    file.write_text(json.dumps(LABELLED), "utf-8-sig")  # as some editors save it
    flow = _flow(
        registry,
        format="json",
        output_format="avro",
        output_schema=file,
        register_schemas=True,
        shape="merge",
    )
    registry.add("other-value", _schema(REVIEW))

    await flow.load(_record(b"{}"))

    assert registry.subjects["shop.labelled-value"] == [2]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, r'format: "avro" needs a schema registry: set STREAMAPP_SCHEMA_REGISTRY_URL'),
        (
            {"format": "protobuf", "message": "no.such:Thing"},
            r"\] message: no.such:Thing: No module",
        ),
        ({"format": "protobuf", "message": "json:loads"}, "is no Protobuf message class"),
    ],
    ids=["no registry", "no module", "no message"],
)
def test_what_a_format_needs_is_asked_for_at_start(settings: Any, problem: str) -> None:
    """A format without what it needs ends the start, and says what to set."""
    with pytest.raises(ConfigurationError, match=problem):
        _flow(None, **settings)


def test_a_schema_file_that_is_none(tmp_path: Path) -> None:
    """The file is named, and what is wrong with it."""
    registry, file = FakeRegistry(), tmp_path / "labelled.avsc"
    with pytest.raises(
        ConfigurationError, match=r"\] output_schema: .*labelled\.avsc: No such file"
    ):
        _flow(registry, output_format="avro", output_schema=file)
    file.write_text('{"type": "nonsense"}')
    with pytest.raises(ConfigurationError, match="output_schema: it is no Avro schema"):
        _flow(registry, output_format="avro", output_schema=file)


PROTOBUF: dict[str, Any] = {
    "format": "protobuf",
    "message": "google.protobuf.type_pb2:Field",
    "shape": "merge",
    "merge_into": "json_name",
    "type": "translate",
    "fields": {
        "text": "{{ value.name }} {{ value.number + 1 }}",
        "target_language": "{{ value.kind }}",
    },
}
#: Of two versions of the class's file, the later one with a message before it.
OLD_FILE = "package google.protobuf; message Type {} message Field {} message Enum {}"
NEW_FILE = "package google.protobuf; message More {} message Type {} message Field {}"


@pytest.mark.parametrize(("file", "place"), [(OLD_FILE, b"\x02\x02"), (NEW_FILE, b"\x02\x04")])
async def test_protobuf_goes_in_and_out(file: str, place: bytes) -> None:
    """Messages are read and written by their classes, with their place in their schema's file."""
    from google.protobuf.type_pb2 import Enum, Field

    registry = FakeRegistry()
    read = registry.add("shop.reviews-value", Schema("PROTOBUF", file))
    id = registry.add("shop.labelled-value", Schema("PROTOBUF", f"// written\n{file}"))
    output = {"output_format": "protobuf", "output_message": PROTOBUF["message"]}
    flow = _flow(registry, **PROTOBUF, **output)
    source = Field(name="late", number=2**31 - 1, kind="TYPE_STRING", packed=True)
    record = _record(_framed(read, place + source.SerializeToString()))

    value = await _answered(flow, record, "spät")

    request = flow.read(record)
    assert request is not None
    asked = request.model_dump()
    assert (asked["text"], asked["target_language"]) == ("late 2147483648", "TYPE_STRING")
    source.json_name = "spät"
    head = _framed(id, place)
    assert (value or b"")[: len(head)] == head
    assert Field.FromString((value or b"")[len(head) :]) == source
    with pytest.raises(Undecodable, match=r"another message of schema 1 than google\.prot"):
        flow.read(_record(_framed(read, b"\x00" + Enum(name=CANARY).SerializeToString())))


@pytest.mark.parametrize(
    ("file", "path", "is_read"),
    [
        ("message Struct { map<string, Value> fields = 1; }", b"\x00", False),
        (
            "message Struct { message More {} map<string, Value> m = 1; message Inner {} }",
            b"",
            True,
        ),
        ("message More {} message Struct { message Inner {} }", b"", False),
        ("message Struct { message Other {} message Inner {} }", b"", False),
    ],
    ids=["another message", "in another order", "without the class's place", "another one there"],
)
async def test_nested_protobuf_is_read_where_its_class_has_it(
    file: str, path: bytes, is_read: bool
) -> None:
    """Registries order what is nested as they like, so that its place may be the class's own."""
    registry = FakeRegistry()
    id = registry.add("shop.reviews-value", Schema("PROTOBUF", f"package nested;{file}"))
    settings = PROTOBUF | {"message": "tests.support.shop_messages:Inner"}
    settings["fields"] = {"text": "{{ value.id }}", "target_language": "de"}
    value = _framed(id, (path or b"\x04\x00\x00") + b"\x0a\x01x")

    flow, record = _flow(registry, **settings), _record(value)

    if is_read:
        assert (await _request(flow, record)).model_dump()["text"] == "x"
    else:
        with pytest.raises(Undecodable, match="another message"):
            await _request(flow, record)


@pytest.mark.parametrize(
    ("id", "problem"),
    [
        (1, "schema 1 is AVRO, and no Protobuf: set the format so"),
        (2, r"it is another message of schema 2 than google\.protobuf\.Field"),
        (4, r"it is another message of schema 4 than google\.protobuf\.Field"),
        (9, "the schema registry has no schema 9"),
        (3, r"it is no message google\.protobuf\.Field of schema 3 \(DecodeError\)"),
    ],
    ids=["another format", "another file", "another place", "unknown id", "garbage"],
)
async def test_protobuf_is_read_by_the_schema_that_it_names(id: int, problem: str) -> None:
    """What happens to fit the class's bytes is none of its messages."""
    registry = FakeRegistry()
    registry.add("shop.reviews-value", _schema(REVIEW))
    registry.add("shop.orders-value", Schema("PROTOBUF", "message Order {} message Field {}"))
    registry.add("shop.fields-value", Schema("PROTOBUF", OLD_FILE))
    registry.add("shop.fields-value", Schema("PROTOBUF", NEW_FILE))
    body = b"\xff" + CANARY.encode() if id == 3 else b""

    with pytest.raises(Undecodable, match=problem) as failed:
        await _request(_flow(registry, **PROTOBUF), _record(_framed(id, b"\x02\x02" + body)))

    assert CANARY not in str(failed.value)


async def test_protobuf_is_not_written_by_a_file_without_its_message() -> None:
    """The newest schema of the topic may be of another team's message: it is said at the start."""
    registry = FakeRegistry()
    registry.add("shop.labelled-value", Schema("PROTOBUF", "message Field {}"))
    settings = PROTOBUF | {"format": "json", "output_format": "protobuf", "message": None}
    store = SchemaStore(registry)
    formats = Formats(store)
    FileFlow(
        "labels",
        FlowSettings(
            input="shop.reviews",
            output="shop.labelled",
            **settings,
            output_message=PROTOBUF["message"],
        ),
        REGISTRY,
        formats,
    )
    [(_, written)] = formats.written

    with pytest.raises(SchemaRefused, match=r"has no message google\.protobuf\.Field: set "):
        await store.find_written(written)
