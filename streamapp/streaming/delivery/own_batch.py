"""A record in a batch of its own: the broker's limit of bytes is for a batch, not for a record."""

import time
from collections.abc import Awaitable, Mapping
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from faust.transport.drivers.aiokafka import Producer
from faust.types import RecordMetadata

from streamapp.records.dead_letter import Headers


async def send_in_own_batch(
    producer: Producer,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int | None,
    timestamp: float | None,
    headers: Headers,
) -> Awaitable[RecordMetadata]:
    """Buffer a record alone; the inner awaitable is its delivery.

    Args:
        producer: Faust's, running.
        topic: Name of the topic.
        key: With ``value``, the record; not both are None.
        value: See ``key``.
        partition: By the key where None.
        timestamp: Seconds since the epoch; now where None.
        headers: Of the record.

    Raises:
        MessageSizeTooLargeError: It is more than the client sends.
    """
    client = producer._ensure_producer()
    await client.client._wait_on_metadata(topic)
    batch = client.create_batch()
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    time_ms = int((time.time() if timestamp is None else timestamp) * 1000)
    if batch.append(timestamp=time_ms, key=key, value=value, headers=pairs) is None:
        raise MessageSizeTooLargeError(topic)
    place = client._partition(topic, partition, None, None, key, value)
    sent: Awaitable[Any] = await client.send_batch(batch, topic, partition=place)
    return sent
