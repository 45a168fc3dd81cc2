"""The worker's producer: Faust's, which waits for brokers and hears of topics that grow."""

import time
from collections.abc import Awaitable, Mapping
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from faust.transport.drivers.aiokafka import Producer as FaustProducer
from faust.types import RecordMetadata

from streamapp.records.dead_letter import Headers
from streamapp.streaming.broker.bootstrap import until_brokers_are_named, until_started
from streamapp.streaming.delivery.throttles import heed_throttles
from streamapp.streaming.protocol.closed_connections import refuse_closed


class PartitionMissing(UnknownTopicOrPartitionError):  # type: ignore[misc]  # aiokafka has no types
    """The brokers know the topic, and no such partition of it."""


class Producer(FaustProducer):
    """Started once it knows brokers.

    aiokafka asserts that it knows a partition, and looks for new ones every five minutes: a topic
    that grows would end the worker. Here it looks at once, and what is raised is an outage as any.
    """

    async def on_start(self) -> None:
        """Start the client, and wait for brokers."""
        await until_started(super().on_start, self._undo_start)
        client = self._ensure_producer().client
        await until_brokers_are_named(client)
        refuse_closed(client)
        heed_throttles(client)

    async def _undo_start(self) -> None:
        await self._ensure_producer().stop()

    async def put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Headers,
    ) -> Awaitable[RecordMetadata]:
        """Buffer a record, see `Send`; the inner awaitable is its delivery.

        Past Faust's own `send`, whose signal to nobody costs as much as to buffer a record.

        Args:
            topic: Its name.
            key: With ``value``, the record; not both are None.
            value: See ``key``.
            partition: By the key where None.
            timestamp: Seconds since the epoch; now where None.
            headers: Of the record.

        Raises:
            KafkaError: As of the client.
            UnknownTopicOrPartitionError: The partition was not known until now.
            PartitionMissing: Nor is it after a look.
        """
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        time_ms = None if timestamp is None else int(timestamp * 1000)
        client = self._ensure_producer()
        try:
            sent: Awaitable[RecordMetadata] = await client.send(
                topic, value, key, partition, time_ms, pairs
            )
        except AssertionError as error:
            raise await self._looked_again(topic, partition) from error
        return sent

    async def send(self, topic: str, *record: Any, **fields: Any) -> Awaitable[RecordMetadata]:
        """Do so in Faust's own way, for what it sends by itself.

        Raises:
            ProducerSendError: As of Faust.
            UnknownTopicOrPartitionError: The partition was not known until now.
        """
        try:
            return await super().send(topic, *record, **fields)
        except AssertionError as error:
            raise await self._looked_again(topic) from error

    async def send_alone(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Headers,
    ) -> Awaitable[RecordMetadata]:
        """Do so in a batch of its own: the broker's limit of bytes is for a batch, not a record.

        Args:
            topic: Its name.
            key: With ``value``, the record; not both are None.
            value: See ``key``.
            partition: By the key where None.
            timestamp: Seconds since the epoch; now where None.
            headers: Of the record.

        Raises:
            MessageSizeTooLargeError: It is more than the client sends.
            UnknownTopicOrPartitionError: The partition was not known until now.
        """
        client = self._ensure_producer()
        await client.client._wait_on_metadata(topic)
        batch = client.create_batch()
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
        time_ms = int((time.time() if timestamp is None else timestamp) * 1000)
        if batch.append(timestamp=time_ms, key=key, value=value, headers=pairs) is None:
            raise MessageSizeTooLargeError(topic)
        try:
            place = client._partition(topic, partition, None, None, key, value)
        except AssertionError as error:
            raise await self._looked_again(topic, partition) from error
        sent: Awaitable[Any] = await client.send_batch(batch, topic, partition=place)
        return sent

    async def _looked_again(
        self, topic: str, partition: int | None = None
    ) -> UnknownTopicOrPartitionError:
        """Ask the brokers for the partitions of all topics; the record is tried again."""
        client = self._ensure_producer().client
        has_looked = await client.force_metadata_update()
        found = client.cluster.partitions_for_topic(topic)
        is_missing = has_looked and found and partition is not None and partition not in found
        return (PartitionMissing if is_missing else UnknownTopicOrPartitionError)(topic)
