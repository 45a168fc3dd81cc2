"""The emitter: writes to a topic and returns after the broker's delivery report."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    ProducerClosed,
    RecordListTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
)
from faust.exceptions import ProducerSendError
from faust.types import RecordMetadata, TopicT

from streamapp.errors import DeliveryFailed, LeaseLost, TooLarge
from streamapp.records.dead_letter import Headers
from streamapp.streaming.delivery.producer import PartitionMissing
from streamapp.streaming.delivery.topic_failures import REFUSED_S, TopicFailures, WaitingRecord
from streamapp.streaming.window.lease import Lease
from streamapp.telemetry.frames import without_frames

log = structlog.get_logger(__name__)

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)

#: Refusals that last until somebody changes the cluster or this machine, and what to change.
#: Everything else is an outage, and the record waits it out.
REFUSALS: Mapping[type, str] = {
    ClusterAuthorizationFailedError: "grant the right IdempotentWrite or Write on the cluster",
    InvalidTimestampError: "the broker does not accept this machine's time: set its clock right,"
    " or raise the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    InvalidTopicError: "the broker does not accept the topic's name",
    PartitionMissing: "the topic was made anew with fewer partitions than it had: give it as many"
    " again, or start the workers again",
    PolicyViolationError: "the cluster's policy forbids it",
    TopicAuthorizationFailedError: "grant the right Write on the topic",
    # The client does not know the broker's code for a record that is not valid there.
    UnknownError: "the broker takes no such record: is the topic compacted? A record without a"
    " key needs cleanup.policy=delete",
}

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
        send_alone: The same in a batch of its own.
        sleep: Waits between attempts, seconds.
    """

    def __init__(
        self,
        send: Send,
        *,
        send_alone: Send | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._send_alone = send_alone or send
        self._sleep = sleep
        self._failures = TopicFailures()

    @property
    def refused(self) -> Mapping[str, str]:
        """Topics that take no record of ours now, by what to change."""
        return self._failures.refused

    def undelivered(self) -> list[str]:
        """Return a line for each topic that did not take a record for long, whatever the reason."""
        return self._failures.undelivered()

    async def accepting(self) -> None:
        """Wait until no topic refuses records: nothing is to be paid that cannot be delivered."""
        if self._failures:
            await self._failures.accepting()

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
        the record waits until that is known. One that is refused for a reason that somebody has
        to cure waits for that, as does every `accepting`.

        Raises:
            LeaseLost: The lease ended before the record was delivered.
            TooLarge: The topic takes no record of that size.
            DeliveryFailed: The producer was closed.
        """
        wait_s, name, send = 0.1, topic.get_topic_name(), self._send
        waiting: WaitingRecord | None = None
        try:
            while True:
                while not lease.is_valid:
                    if lease.is_ended:
                        raise LeaseLost(name)
                    await self._sleep(MEMBERSHIP_POLL_S)
                try:
                    delivery = await send(name, key, value, partition, None, headers)
                    place = await delivery
                except (KafkaError, ProducerSendError) as error:
                    without_frames(error)  # one of them is this one, with the record
                    cause = error.__cause__ if isinstance(error, ProducerSendError) else error
                    if isinstance(cause, TOO_LARGE) and send is not self._send_alone:
                        send = self._send_alone  # its batch was too large, not it
                        continue
                    hint = _hint(name, cause)
                    kind = type(cause).__name__
                    waiting = self._failures.note(
                        name, kind, hint, partition=partition, waiting=waiting
                    )
                    log.warning("emitter.retry_scheduled", topic=name, error=kind, wait_s=wait_s)
                else:
                    if self._failures:
                        self._failures.delivered(name, waiting)
                    return place
                await self._sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0 if hint is None else REFUSED_S)
        finally:
            if waiting is not None:
                self._failures.leave(name, waiting)


def _hint(topic: str, cause: BaseException | None) -> str | None:
    """Return what to change where the topic refuses a record; None for an outage.

    Raises:
        TooLarge, DeliveryFailed: No waiting helps.
    """
    if isinstance(cause, TOO_LARGE):
        raise TooLarge(
            f"topic {topic} takes no record of this size: raise its max.message.bytes"
        ) from cause
    # The producer's own task has ended by an error of another kind, which it says so for ever.
    if isinstance(cause, ProducerClosed) or type(cause) is KafkaError:
        raise DeliveryFailed(f"{topic}: {type(cause).__name__}: the producer has ended") from cause
    return REFUSALS.get(type(cause))
