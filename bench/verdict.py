"""The independent reader: what the topics say about a run, whatever the program says."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, UnknownTopicOrPartitionError

from bench.workloads import Workload, record_number


class Answer(NamedTuple):
    """One response as it lies on the topic."""

    at_s: float
    key: bytes
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the records.

    Attributes:
        times_s: When each first answer was appended, by the broker's wall clock, ascending.
        answered_s: The same by record number.
        missing: Records without a response.
        duplicates: Responses beyond the first of a record.
        order_breaks: First answers that came after a later record's of the same key.
    """

    times_s: list[float]
    answered_s: dict[int, float]
    missing: int
    duplicates: int
    order_breaks: int

    @classmethod
    def of(cls, workload: Workload, answers: Iterable[Answer]) -> "Verdict":
        """Judge ``answers``, which come in the order of their partition."""
        seen: dict[int, float] = {}
        highest: dict[bytes, int] = {}
        duplicates, breaks = 0, 0
        for answer in answers:
            if answer.number in seen:
                duplicates += 1
                continue
            seen[answer.number] = answer.at_s
            if answer.number < highest.get(answer.key, -1):
                breaks += 1
            else:
                highest[answer.key] = answer.number
        missing = workload.records - len(seen)
        return cls(
            times_s=sorted(seen.values()),
            answered_s=seen,
            missing=missing,
            duplicates=duplicates,
            order_breaks=breaks,
        )


class Topics:
    """Looks at topics without a consumer group.

    Args:
        consumer: Started, with neither subscription nor group.
        admin: Started.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, partitions: int
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._partitions = range(partitions)

    async def count(self, topic: str) -> int:
        """Return how many records ``topic`` holds; 0 when it does not exist."""
        partitions = self._of(topic)
        try:
            ends = await self._consumer.end_offsets(partitions)
            starts = await self._consumer.beginning_offsets(partitions)
        except UnknownTopicOrPartitionError:
            return 0
        return int(sum(ends.values()) - sum(starts.values()))

    async def has_members(self, group: str) -> bool:
        """Whether a consumer group has shared out its partitions."""
        try:
            answers = await self._admin.describe_consumer_groups([group])
        except GroupCoordinatorNotAvailableError:
            return False  # a new broker has no topic for groups until one joins
        return any(found[2] == "Stable" for answer in answers for found in answer.groups)

    async def answers(self, topic: str) -> list[Answer]:
        """Return every response on ``topic``, in order within a partition."""
        partitions = self._of(topic)
        ends = await self._consumer.end_offsets(partitions)
        left = Counter(ends)
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        answers = []
        while +left:
            polled = await self._consumer.getmany(timeout_ms=1_000)
            for partition, records in polled.items():
                left[partition] = ends[partition] - records[-1].offset - 1
                answers += [
                    Answer(
                        record.timestamp / 1_000,
                        record.key,
                        record_number(orjson.loads(record.value)["id"]),
                    )
                    for record in records
                ]
        return answers

    def _of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in self._partitions]
