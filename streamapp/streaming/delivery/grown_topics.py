"""Sending to a partition that the producer has not heard of yet: its topic has grown."""

from collections.abc import Awaitable, Callable

from aiokafka.errors import UnknownTopicOrPartitionError
from faust.types import RecordMetadata

from streamapp.records.dead_letter import Headers
from streamapp.streaming.delivery.emitter import Send


def to_grown_topics(send: Send, refresh: Callable[[], Awaitable[object]]) -> Send:
    """Return ``send``, for topics that grow while the producer runs.

    aiokafka asserts that it knows a partition, and looks for new ones every five minutes: the
    worker would end. Instead it looks at once, and the record is tried again.

    Args:
        send: Of the running producer.
        refresh: Asks the brokers for the partitions of all topics.
    """

    async def sent(
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Headers,
        /,
    ) -> Awaitable[RecordMetadata]:
        try:
            return await send(topic, key, value, partition, timestamp, headers)
        except AssertionError as error:
            await refresh()
            raise UnknownTopicOrPartitionError(f"{topic}-{partition}") from error

    return sent
