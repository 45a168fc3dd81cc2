"""The dead letters as the topic holds them: listed by filters, and sent again within limits."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic_core import from_json

from streamapp.errors import DeliveryFailed
from streamapp.records.dead_letter import REPLAYS
from streamapp.settings import Settings
from streamapp.streaming.emitter import Send
from streamapp.streaming.security import kafka_client_options

#: A record that failed again this often is not sent again: its cause is not gone.
MAX_REPLAYS = 5
#: Characters of a record that are shown, and seconds that one look at the topic may take.
SHOWN, LOOK_S = 2_000, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which dead letters are meant; None and an empty text mean any."""

    kind: str | None = None
    type: str | None = None
    id: str | None = None
    text: str = ""
    since: float | None = None

    def fits(self, letter: dict[str, Any]) -> bool:
        """Whether a listed dead letter is meant."""
        return (
            self.kind in (None, letter["kind"])
            and self.type in (None, letter["type"])
            and self.id in (None, letter["id"])
            and (self.since is None or letter["at"] >= self.since)
            and (not self.text or self.text.lower() in _searched(letter))
        )


class DeadLetters:
    """Reads the topic with a client of its own, and writes to the requests.

    Args:
        send: Of the running producer.
        sleep: Paces replays, seconds.
    """

    def __init__(
        self,
        settings: Settings,
        send: Send,
        *,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._send = send
        self._sleep = sleep
        self._requests = settings.topic("requests")
        self._topic = settings.topic("requests-dlt")
        self._one_at_a_time = asyncio.Lock()

    async def newest(self, wanted: Filter, *, limit: int) -> list[dict[str, Any]]:
        """Return the newest dead letters that are meant, newest first.

        Raises:
            KafkaError: No broker answered.
        """
        letters = [described(record) for record in await self._tail()]
        fitting = [letter for letter in letters if wanted.fits(letter)]
        return sorted(fitting, key=lambda letter: letter["at"], reverse=True)[:limit]

    async def replay(
        self, places: Sequence[tuple[int, int]], *, rate_per_s: float
    ) -> dict[tuple[int, int], str]:
        """Send the original bytes again; return what became of each place.

        ``sent``; ``missing``: nothing stands there; ``foreign``: not a request of ours;
        ``omitted``: the dead letter does not hold the record; ``looping``: it was sent again
        `MAX_REPLAYS` times already; ``undelivered``: the broker did not take it.
        """
        async with self._one_at_a_time:
            found = {(r.partition, r.offset): r for r in await self._at(places)}
            results: dict[tuple[int, int], str] = {}
            started_at, sent = time.monotonic(), 0
            for place in places:
                record = found.get(place)
                results[place] = refusal_of(record, self._requests)
                if record is None or results[place] != "sent":
                    continue
                await self._sleep(max(0.0, started_at + sent / rate_per_s - time.monotonic()))
                sent += 1
                try:
                    await self._again(record)
                except DeliveryFailed:
                    results[place] = "undelivered"
            return results

    async def _again(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        partition = int(headers["__streams.errors.partition"])
        replays = {REPLAYS: str(_replays(headers) + 1).encode()}
        try:
            delivery = await self._send(
                self._requests, record.key, record.value, partition, None, replays
            )
            await asyncio.shield(delivery)
        except KafkaError as error:
            raise DeliveryFailed(type(error).__name__) from error

    async def _tail(self, per_partition: int = 500) -> list[ConsumerRecord]:
        async with self._consumer() as (consumer, partitions):
            ends = await consumer.end_offsets(partitions)
            begins = await consumer.beginning_offsets(partitions)
            starts = {tp: max(begins[tp], ends[tp] - per_partition) for tp in partitions}
            return await _read(consumer, starts, ends)

    async def _at(self, places: Sequence[tuple[int, int]]) -> list[ConsumerRecord]:
        wanted: dict[TopicPartition, set[int]] = {}
        for partition, offset in places:
            wanted.setdefault(TopicPartition(self._topic, partition), set()).add(offset)
        async with self._consumer() as (consumer, partitions):
            ends = await consumer.end_offsets(partitions)
            begins = await consumer.beginning_offsets(partitions)
            starts = {
                tp: max(begins[tp], min(offsets)) for tp, offsets in wanted.items() if tp in ends
            }
            until = {tp: min(ends[tp], max(wanted[tp]) + 1) for tp in starts}
            records = await _read(consumer, starts, until)
        return [r for r in records if r.offset in wanted[TopicPartition(r.topic, r.partition)]]

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False, **kafka_client_options(self._settings)
        )
        try:
            await consumer.start()
            partitions = [
                TopicPartition(self._topic, number) for number in range(self._settings.partitions)
            ]
            consumer.assign(partitions)
            yield consumer, partitions
        finally:
            await consumer.stop()


def described(record: ConsumerRecord) -> dict[str, Any]:
    """Return a dead letter for a reader: its place, its reason, what there is of the record."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    fields = _fields(record.value)
    return {
        "partition": record.partition,
        "offset": record.offset,
        "at": record.timestamp / 1000,
        "id": headers.get("streamapp.request.id"),
        "type": fields.get("type") if isinstance(fields.get("type"), str) else None,
        "kind": headers.get("streamapp.error.kind"),
        "stage": headers.get("streamapp.error.stage"),
        "message": headers.get("__streams.errors.message"),
        "attempts": _number(headers.get("streamapp.attempts")),
        "replays": _number(headers.get(REPLAYS)),
        "record": _shown(record.value),
    }


def refusal_of(record: ConsumerRecord | None, requests: str) -> str:
    """Return why a dead letter is not sent again, or ``sent``."""
    if record is None:
        return "missing"
    headers = dict(record.headers)
    if headers.get("__streams.errors.topic") != requests.encode():
        return "foreign"
    if "streamapp.value" in headers:
        return "omitted"
    return "looping" if _replays(headers) >= MAX_REPLAYS else "sent"


async def _read(
    consumer: AIOKafkaConsumer,
    starts: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
) -> list[ConsumerRecord]:
    """Return the records from the starts up to the ends."""
    open_ones = {tp: start for tp, start in starts.items() if start < ends[tp]}
    if not open_ones:
        return []
    consumer.assign(list(open_ones))
    for tp, start in open_ones.items():
        consumer.seek(tp, start)
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(LOOK_S):
        while open_ones:
            for tp, batch in (await consumer.getmany(timeout_ms=200)).items():
                records += [record for record in batch if record.offset < ends[tp]]
            # By position: what stands at the end may be a marker that is never handed out.
            for tp in list(open_ones):
                if await consumer.position(tp) >= ends[tp]:
                    del open_ones[tp]
    return records


def _replays(headers: dict[str, bytes]) -> int:
    return _number(headers.get(REPLAYS, b"0").decode(errors="replace"))


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _fields(value: bytes | None) -> dict[str, Any]:
    try:
        fields = from_json(value or b"")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _shown(value: bytes | None) -> str | None:
    return None if value is None else value[: 4 * SHOWN].decode(errors="replace")[:SHOWN]


def _searched(letter: dict[str, Any]) -> str:
    return " ".join(
        str(letter[name]) for name in ("id", "type", "kind", "message", "record")
    ).lower()
