"""Writes to topics, and returns only after the broker's delivery report."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

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
from faust.types import TopicT

from streamapp.errors import DeliveryFailed, StreamappError
from streamapp.streaming.window import Lease

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


class LeaseLost(StreamappError):
    """The partition went to another worker: this one must not write its outcome."""


class Emitter:
    """Delivers a record to a topic, waiting out what the broker can recover from.

    Args:
        sleep: Waits between attempts, seconds.
    """

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep

    async def emit(
        self,
        topic: TopicT,
        lease: Lease,
        *,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Mapping[str, bytes] | None = None,
        **options: Any,
    ) -> None:
        """Send the record and return when the broker has it.

        A record that timed out may have been written all the same: it can then stand twice.

        Raises:
            LeaseLost: The lease ended before the record was delivered.
            DeliveryFailed: The broker refused the record for good.
        """
        wait_s = 0.1
        while True:
            if not lease.is_valid:
                raise LeaseLost(topic.get_topic_name())
            try:
                delivery = await topic.send(
                    key=key, value=value, partition=partition, headers=headers, **options
                )
                # A cancelled task must not cancel the producer's own future.
                await asyncio.shield(delivery)
                return
            except (KafkaError, ProducerSendError) as error:
                cause = error.__cause__ if isinstance(error, ProducerSendError) else error
                if isinstance(cause, REFUSALS):
                    raise DeliveryFailed(
                        f"{topic.get_topic_name()}: {type(cause).__name__}"
                    ) from error
                log.warning(
                    "emitter.retry_scheduled",
                    topic=topic.get_topic_name(),
                    error=type(cause).__name__,
                    wait_s=wait_s,
                )
            await self._sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)
