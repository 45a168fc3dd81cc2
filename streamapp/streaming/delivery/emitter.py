"""The emitter: writes to a topic and returns after the broker's delivery report."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)
from faust.exceptions import ProducerSendError
from faust.types import RecordMetadata, TopicT

from streamapp.errors import DeliveryFailed, LeaseLost
from streamapp.records.dead_letter import Headers
from streamapp.streaming.window.lease import Lease

log = structlog.get_logger(__name__)

#: Errors that no waiting cures; everything else is an outage, and the record waits it out.
REFUSALS = (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)

#: How often a record that waits to be sent looks whether this worker is a member, seconds.
MEMBERSHIP_POLL_S = 0.1


class Send(Protocol):
    """The ``send`` of Faust's producer.

    It lies below ``Topic.send``, whose bookkeeping for values that are no bytes, and for
    sensors, costs as much CPU as the producer itself.
    """

    def __call__(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Headers,
        /,
    ) -> Awaitable[Awaitable[RecordMetadata]]:
        """Buffer a record; the inner awaitable is its delivery."""
        ...


class RecordEmitter(Protocol):
    """An `Emitter`, or what stands around one."""

    async def emit(
        self,
        topic: TopicT,
        lease: Lease,
        *,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers = None,
    ) -> RecordMetadata:
        """Send the record and return its place; raises as `Emitter.emit`."""
        ...


class Emitter:
    """Delivers a record to a topic, waiting out what the broker can recover from.

    Args:
        send: Of the running producer.
        sleep: Waits between attempts, seconds.
    """

    def __init__(
        self, send: Send, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._send = send
        self._sleep = sleep

    async def emit(
        self,
        topic: TopicT,
        lease: Lease,
        *,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers = None,
    ) -> RecordMetadata:
        """Send the record and return its place when the broker has it.

        A record that timed out may have been written all the same: it can then stand twice.
        While it is not known whether this worker is still a member of its group, nothing is sent:
        the record waits until that is known.

        Raises:
            LeaseLost: The lease ended before the record was delivered.
            DeliveryFailed: The broker refused the record for good.
        """
        wait_s, name = 0.1, topic.get_topic_name()
        while True:
            while not lease.is_valid:
                if lease.is_ended:
                    raise LeaseLost(name)
                await self._sleep(MEMBERSHIP_POLL_S)
            try:
                delivery = await self._send(name, key, value, partition, None, headers)
                return await delivery
            except (KafkaError, ProducerSendError) as error:
                cause = error.__cause__ if isinstance(error, ProducerSendError) else error
                if isinstance(cause, REFUSALS):
                    raise DeliveryFailed(f"{name}: {type(cause).__name__}") from error
                log.warning(
                    "emitter.retry_scheduled",
                    topic=name,
                    error=type(cause).__name__,
                    wait_s=wait_s,
                )
            await self._sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)
