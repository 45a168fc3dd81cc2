"""Single records of flows' inputs, read where they stand on their topics."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import log_ends
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.flows.state import with_requests

#: Longest time for one record to arrive, seconds.
FIND_S = 10.0


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A record as its producer wrote it.

    Attributes:
        at: Its timestamp, seconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def fields(self) -> dict[str, Any]:
        """Return the record for people; bytes that are no text are shown as far as they are."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "at": self.at,
            "key": _text(self.key),
            "headers": [{"name": name, "value": _text(value)} for name, value in self.headers],
            "record": _text(self.value),
        }


class InputRecords:
    """Reads with a client of its own, of no group; made anew for each record.

    Args:
        settings: Say how Kafka is reached.
        flows: The user's, by name.
    """

    def __init__(self, settings: Settings, flows: Mapping[str, FlowTopics]) -> None:
        self._settings = settings
        self._flows = with_requests(settings, flows)

    @property
    def flows(self) -> list[str]:
        """The names of the flows whose records can be read."""
        return list(self._flows)

    async def at(self, flow: str, partition: int, offset: int) -> InputRecord | None:
        """Return the record at a place of the flow's input; None where there is none any more.

        Raises:
            KafkaError: No broker answered.
            TimeoutError: It took longer than `FIND_S`.
        """
        place = TopicPartition(self._flows[flow].input, partition)
        async with asyncio.timeout(FIND_S):
            counts = await partition_counts(self._settings, [place.topic])
            if partition >= counts.get(place.topic, 0):
                return None
            consumer = AIOKafkaConsumer(**log_reader_options(self._settings), fetch_max_wait_ms=50)
            try:
                await consumer.start()
                return await _at(consumer, place, offset)
            finally:
                await consumer.stop()


async def _at(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> InputRecord | None:
    begin = (await consumer.beginning_offsets([place]))[place]
    end = (await log_ends(consumer, [place]))[place]
    if not begin <= offset < end:
        return None
    consumer.assign([place])
    consumer.seek(place, offset)
    # What stands there may be compacted away, or a marker that is never handed out.
    while await consumer.position(place) <= offset:
        for records in (await consumer.getmany(timeout_ms=200, max_records=1)).values():
            for record in records:
                if record.offset != offset:
                    return None
                return InputRecord(
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    at=record.timestamp / 1000,
                    key=record.key,
                    value=record.value,
                    headers=tuple(record.headers),
                )
    return None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
