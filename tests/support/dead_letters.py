"""Dead letters as streamapp writes them, and records of somebody else, for tests."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from streamapp.cli.kafka import reading
from streamapp.errors import Failure, InvalidRecord
from streamapp.records.dead_letter import DeadLetter
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import log_ends

Pairs = list[tuple[str, bytes]]

#: What may stand on a dead-letter topic and is no dead letter of ours.
FOREIGN: dict[str, tuple[bytes | None, Pairs]] = {
    "bare bytes": (b"\xff\x00", []),
    "tombstone": (None, []),
    "Connect": (b"{}", [("__connect.errors.topic", b"t"), ("__connect.errors.partition", b"0")]),
    "Kafka Streams": (b"{}", [("__streams.errors.topic", b"t"), ("__streams.errors.offset", b"1")]),
    "no partition": (
        b"{}",
        [("__streams.errors.topic", b"t"), ("streamapp.error.kind", b"invalid")],
    ),
    "numbers that are none": (
        b"{}",
        [
            ("__streams.errors.topic", b"llm.requests"),
            ("__streams.errors.partition", "²".encode()),
            ("__streams.errors.offset", b"9" * 40),
            ("streamapp.error.kind", b"invalid"),
        ],
    ),
    "a kind that is no word": (
        b"{}",
        [
            *((f"__streams.errors.{name}", b"1") for name in ("topic", "partition", "offset")),
            ("streamapp.error.kind", b"\x1b[2J"),
        ],
    ),
    "a null header": (b"{}", [("streamapp.error.kind", None)]),  # type: ignore[list-item]  # as Kafka allows
}


def headers_of(
    id: str,
    *,
    failure: Failure | None = None,
    topic: str = "llm.requests",
    partition: int = 0,
    offset: int = 0,
    earlier: Iterable[tuple[str, bytes]] = (),
) -> Pairs:
    """Return the headers of a dead letter."""
    dead_letter = DeadLetter.of(
        failure or InvalidRecord("field 'x' is wrong"),
        stage="decode",
        topic=topic,
        partition=partition,
        offset=offset,
        request_id=id,
        now=datetime(2030, 1, 1, tzinfo=UTC),
        headers=list(earlier),
    )
    return [(name, text.encode()) for name, text in dead_letter.headers().items()]


def record(value: bytes | None, headers: Pairs, **place: Any) -> ConsumerRecord:
    """Return what a consumer hands out."""
    fields = {"topic": "llm.requests-dlt", "partition": 3, "offset": 17, "timestamp": 1_000_000}
    fields |= {"timestamp_type": 0, "key": b"k", "value": value, "checksum": None}
    fields |= {"serialized_key_size": 0, "serialized_value_size": 0, "headers": tuple(headers)}
    return ConsumerRecord(**(fields | place))


def request(id: str, **fields: Any) -> bytes:
    """Return a record of a type that there is."""
    messages = [{"role": "user", "content": id}]
    return json.dumps({"id": id, "type": "chat", "messages": messages, **fields}).encode()


def sent(settings: Settings) -> list[ConsumerRecord]:
    """Return what stands on the requests' topic."""

    async def read() -> list[ConsumerRecord]:
        found: list[ConsumerRecord] = []
        async with reading(settings, ["llm.requests"], from_beginning=True) as stream:
            ends = await log_ends(stream, stream.assignment())
            filled = {place: end for place, end in ends.items() if end}
            for place, end in filled.items():
                stream.assign([place])
                stream.seek(place, 0)
                while await stream.position(place) < end:
                    found += (await stream.getmany(place, timeout_ms=500)).get(place, [])
        return found

    return asyncio.run(read())
