"""Other shapes of records on Kafka, known by their look: a schema registry's frame, envelopes.

A request record is our own JSON. Topics of other programs hold other shapes; whoever sends one
here learns what it is and which setting of a flow reads it. Nothing is unwrapped: an envelope
can hold a whole row, and only a flow says what of it is a request.
"""

from collections.abc import Mapping
from typing import Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
#: Source: Confluent Schema Registry, "Wire format": 0, then four bytes of the schema's number.
_MAGIC, _FRAME_LENGTH = b"\x00", 5
#: Source: Debezium, "Change event values".
_CHANGE_OPERATIONS = frozenset({"c", "r", "u", "d", "t", "m"})

_FLOW = "read the topic with a flow in streamapp.toml, [flows.NAME]"


def without_mark(value: bytes) -> bytes:
    """Return ``value`` without the byte order mark that some programs write before UTF-8."""
    return value[3:] if value.startswith(BYTE_ORDER_MARK) else value


def frame_of(value: bytes, *, in_flow: bool = False) -> str | None:
    """Return what bytes are that are no JSON, and what reads them; None where that is unknown.

    Args:
        value: Of a record.
        in_flow: Whether a flow reads it already, in another format.
    """
    if value.startswith(_MAGIC) and len(value) > _FRAME_LENGTH:
        return (
            "the value is framed by a schema registry (a 0 byte and a schema's number):"
            f' {"set" if in_flow else f"{_FLOW} and"} format = "avro", "json-schema" or "protobuf"'
        )
    if value.startswith(_UTF_16):
        return "the value is in UTF-16: send UTF-8"
    if value.startswith(b"\x1f\x8b"):
        return (
            "the value itself is compressed by gzip: send it plain, and let the producer"
            " compress (compression.type)"
        )
    return None


def envelope_of(fields: Mapping[str, Any]) -> str | None:
    """Return which envelope a JSON object is, and what reads it; None where it is none."""
    payload = fields.get("payload")
    if _is_change(fields) or (isinstance(payload, Mapping) and _is_change(payload)):
        return f'the value is a change event of Debezium: {_FLOW} and unwrap = "debezium"'
    if "payload" in fields and isinstance(fields.get("schema"), Mapping | None):
        return (
            "the value is an envelope of Kafka Connect (schema and payload): set"
            " value.converter.schemas.enable=false in the connector, or"
            f" {_FLOW} and fields from value.payload"
        )
    if "specversion" in fields and "source" in fields:
        return f"the value is a CloudEvent in structured mode: {_FLOW} and fields from value.data"
    return None


def _is_change(fields: Mapping[str, Any]) -> bool:
    operation = fields.get("op")
    return (
        isinstance(operation, str)
        and operation in _CHANGE_OPERATIONS
        and ("after" in fields or "before" in fields or "source" in fields)
    )
