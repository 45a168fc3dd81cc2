"""Shapes of other programs, named in the failure with the setting that reads them."""

import io
import json
from typing import Any

import pytest

from streamapp.cli.lines import read_lines
from streamapp.errors import Failure, Undecodable
from streamapp.processors.registry import Registry
from streamapp.records.codec import parse

CANARY = "canary-4711"
ROW = {"id": 1, "text": CANARY}
SOURCE = {"connector": "postgresql", "table": "reviews"}
SUMMARIZE = b'{"type": "summarize", "text": "a"}'

FRAMES = {
    "registry": (b"\x00\x00\x00\x00\x07\x10" + CANARY.encode(), ("schema registry", "format =")),
    "utf-16": (CANARY.encode("utf-16"), ("UTF-16", "UTF-8")),
    "gzip": (b"\x1f\x8b\x08\x00" + CANARY.encode(), ("gzip", "compression.type")),
}

ENVELOPES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "debezium": (
        {"before": None, "after": ROW, "source": SOURCE, "op": "c", "ts_ms": 1},
        ("Debezium", 'unwrap = "debezium"'),
    ),
    "debezium with its schema": (
        {"schema": {}, "payload": {"after": ROW, "source": SOURCE, "op": "u"}},
        ("Debezium", 'unwrap = "debezium"'),
    ),
    "connect": (
        {"schema": {"type": "struct"}, "payload": ROW},
        ("Kafka Connect", "schemas.enable=false", "value.payload"),
    ),
    "cloudevent": (
        {"specversion": "1.0", "type": "shop.review", "source": "/shop", "id": "1", "data": ROW},
        ("CloudEvent", "value.data"),
    ),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in record types."""
    return Registry.load()


@pytest.mark.parametrize(("value", "named"), FRAMES.values(), ids=FRAMES)
def test_frame_is_named_with_what_reads_it(
    registry: Registry, value: bytes, named: tuple[str, ...]
) -> None:
    """Bytes that are no JSON say what they are, and show nothing of themselves."""
    with pytest.raises(Undecodable) as raised:
        registry.decode(value)

    assert all(word in str(raised.value) for word in named)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(("fields", "named"), ENVELOPES.values(), ids=ENVELOPES)
def test_envelope_is_named_with_what_reads_it(
    registry: Registry, fields: dict[str, Any], named: tuple[str, ...]
) -> None:
    """JSON of another program says whose it is, and shows nothing of itself."""
    with pytest.raises(Failure) as raised:
        registry.decode(json.dumps(fields).encode())

    assert all(word in str(raised.value) for word in named)
    assert CANARY not in str(raised.value)


def test_request_that_looks_like_an_envelope_is_a_request(registry: Registry) -> None:
    """A record of a known type is read as that, whatever its metadata is called."""
    value = {"type": "summarize", "text": "a", "metadata": {"op": "c", "after": 1, "payload": 2}}

    assert registry.decode(json.dumps(value).encode()).type == "summarize"


def test_byte_order_mark_is_no_part_of_a_record(registry: Registry) -> None:
    """What some programs write before UTF-8 is read past, as in prompt files."""
    request = registry.decode(b"\xef\xbb\xbf" + SUMMARIZE)

    assert request.type == "summarize"
    with pytest.raises(Undecodable):
        parse(b"\xef\xbb\xbf")


def test_file_with_a_mark_and_windows_line_ends_is_read() -> None:
    """`send` reads what a Windows editor saves."""
    file = io.BytesIO(b"\xef\xbb\xbf" + SUMMARIZE + b"\r\n\r\n" + SUMMARIZE + b"\r\n")

    assert [(line.number, line.value) for line in read_lines(file)] == [
        (1, SUMMARIZE),
        (3, SUMMARIZE),
    ]
