"""Messages of topics as `streamapp tail` prints them: a line for people, JSON for machines."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord

from streamapp.cli.terminal import printable
from streamapp.errors import Undecodable
from streamapp.flows.formats.frame import body, schema_id
from streamapp.records.timestamps import moment_of, time_text
from streamapp.streaming.delivery.chunks import ERROR_KIND, STREAM_ID, STREAM_INDEX, STREAM_LAST

#: In JSON a line ends nowhere but between its parts.
_ON_ONE_LINE = str.maketrans("\n\r", "  ")


def headers_of(message: ConsumerRecord) -> dict[str, str]:
    """Return the headers as text."""
    return {name: (value or b"").decode(errors="replace") for name, value in message.headers}


def dead_letter(message: ConsumerRecord) -> dict[str, Any]:
    """Return a dead letter as one object: headers by short names, then the original."""
    headers = headers_of(message)
    streams, own = "__streams.errors.", "streamapp."
    return {
        "id": headers.get(f"{own}request.id"),
        "kind": headers.get(f"{own}error.kind"),
        "stage": headers.get(f"{own}error.stage"),
        "attempts": _number(headers, f"{own}attempts", 0),
        "first_failure": headers.get(f"{own}first-failure"),
        "exception": headers.get(f"{streams}exception"),
        "message": headers.get(f"{streams}message"),
        "topic": headers.get(f"{streams}topic"),
        "partition": _number(headers, f"{streams}partition", -1),
        "offset": _number(headers, f"{streams}offset", -1),
        "key": _text(message.key),
        "record": _text(message.value),
    }


def _response_line(message: ConsumerRecord) -> str:
    record = _object(message.value)
    tokens = record.get("usage") or {}
    return _line(
        message,
        record.get("id"),
        record.get("type"),
        f"{record.get('provider')}/{record.get('model')}",
        "cached" if record.get("cached") else f"{record.get('duration_s', 0):.2f} s",
        f"{tokens.get('input_tokens', 0)}+{tokens.get('output_tokens', 0)} tokens",
        json.dumps(record.get("output"), ensure_ascii=False),
    )


def _dead_letter_line(message: ConsumerRecord) -> str:
    found = dead_letter(message)
    place = f"{found['topic']}-{found['partition']}@{found['offset']}"
    return _line(message, found["id"], found["kind"], found["stage"], place, found["message"])


def _usage_line(message: ConsumerRecord) -> str:
    found = _object(message.value)
    if not found:
        return _value_line(message)
    cost, calls = found.get("cost_usd"), found.get("calls")
    tokens = f"{found.get('input_tokens')}+{found.get('output_tokens')} tokens"
    return _line(
        message,
        f"{found.get('provider')}/{found.get('model')}",
        f"{calls} call{'' if calls == 1 else 's'}",
        f"{tokens}, estimated" if found.get("estimated") else tokens,
        "price unknown" if cost is None else f"${cost}",
        *(f"{name} {found[name]}" for name in ("tenant", "api_key") if found.get(name)),
        at=_moment(found.get("at")),  # which sums count by, however late it was written
    )


def chunk(message: ConsumerRecord) -> dict[str, Any]:
    """Return a chunk as one object: what its headers say, then the text."""
    headers = headers_of(message)
    return {
        "id": headers.get(STREAM_ID),
        "index": _number(headers, STREAM_INDEX, -1),
        "last": headers.get(STREAM_LAST) == "true",
        "kind": headers.get(ERROR_KIND),
        "key": _text(message.key),
        "text": _text(message.value),
    }


def _chunk_line(message: ConsumerRecord) -> str:
    found = chunk(message)
    ended = ("failed: " + found["kind"]) if found["kind"] else "last" if found["last"] else ""
    text = json.dumps(found["text"], ensure_ascii=False)
    return _line(message, found["id"], f"#{found['index']}", *filter(None, (ended,)), text)


def _value_line(message: ConsumerRecord) -> str:
    fields = [text for text in (_text(message.key), _value_text(message.value)) if text is not None]
    return _line(message, *fields)


def _line(message: ConsumerRecord, *fields: object, at: datetime | None = None) -> str:
    # Not cut: half of an answer is no JSON, and its end may be what is looked for.
    moment = at or moment_of(message.timestamp / 1000)
    return printable("  ".join(map(str, (time_text(moment), *fields))), keep="")


def _number(headers: Mapping[str, str], name: str, other: int) -> int:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else other


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _object(value: bytes | None) -> Mapping[str, Any]:
    try:
        record = json.loads(value or b"")
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _value_text(value: bytes | None) -> str | None:
    """Return a value as text, JSON without the frame of a schema registry."""
    return _text(value) if value is None or (found := _json_in(value)) is None else found


def _json_line(message: ConsumerRecord) -> str:
    """Return a value as one line of JSON: as it stands where it is some, else as a string."""
    value = message.value
    if value is None:
        return "null"
    if (found := _json_in(value)) is None:
        return json.dumps(_text(value), ensure_ascii=False)
    return found.translate(_ON_ONE_LINE)


def _json_in(value: bytes) -> str | None:
    """Return the JSON that a value is, in a frame or without one; None where it is no JSON."""
    with suppress(Undecodable):
        schema_id(value)
        value = body(value)
    try:
        text = value.decode("utf-8-sig")
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None
    return text


def _no_json(name: str) -> None:
    raise ValueError(name)


TEXT: Mapping[str, Callable[[ConsumerRecord], str]] = {
    "responses": _response_line,
    "dead-letters": _dead_letter_line,
    "usage": _usage_line,
    "chunks": _chunk_line,
    "values": _value_line,
}
JSON: Mapping[str, Callable[[ConsumerRecord], str]] = {
    "responses": _json_line,
    "dead-letters": lambda message: json.dumps(dead_letter(message), ensure_ascii=False),
    "usage": _json_line,
    "chunks": lambda message: json.dumps(chunk(message), ensure_ascii=False),
    "values": _json_line,
}
