"""Kafka for commands: settings, a broker that answers, and messages as they come."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownError

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.settings.environment import env_places
from streamapp.settings.loading import load_settings
from streamapp.streaming.broker.diagnosis import refusal
from streamapp.streaming.broker.log_ends import log_ends
from streamapp.streaming.broker.security import kafka_client_options
from streamapp.streaming.broker.topics import partition_counts
from streamapp.telemetry.logging import configure_logging, known_secrets

T = TypeVar("T")

#: How long a command waits for a broker's first answer, seconds.
BROKER_TIMEOUT_S = 10.0


def client_settings(*, may_lack_secrets: bool = True) -> Settings:
    """Read the settings, and keep libraries quiet: a command says itself what went wrong.

    Args:
        may_lack_secrets: Whether the command needs none of the keys that the file names: who
            sends records or looks at topics need not hold what workers hold.

    Raises:
        ConfigurationError: A value is wrong.
    """
    settings = load_settings(may_lack_secrets=may_lack_secrets)
    configure_logging(
        "warning", "console", secrets=known_secrets(settings), quiet_level=logging.CRITICAL + 1
    )
    return settings


async def answered(settings: Settings, request: Awaitable[T], *, said_after_s: float = 2.0) -> T:
    """Return what a first request to the broker gives.

    Args:
        settings: Name the broker.
        request: What is waited for, `BROKER_TIMEOUT_S` at most.
        said_after_s: From when on the user is told, and of what is looked at afterwards.

    Raises:
        ConfigurationError: A broker answered and refuses us.
        StreamappError: No broker answered in time.
    """
    waiting = f"waiting for the broker {settings.broker}"
    loop = asyncio.get_running_loop()
    said = loop.call_later(said_after_s, lambda: click.echo(waiting, err=True))
    try:
        async with asyncio.timeout(BROKER_TIMEOUT_S):
            return await request
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        if loop.time() > said.when():
            click.echo("no answer; looking whether it refuses this program", err=True)
        if refused := await refusal(settings):
            raise refused from error
        raise StreamappError(unreachable(settings)) from error
    finally:
        said.cancel()


def unreachable(settings: Settings) -> str:
    """Return the message for a broker that does not answer."""
    named = env_places().get("STREAMAPP_BROKER")
    place = f", which {named} sets" if named else ""
    return (
        f"the broker {settings.broker} does not answer: start it, or set STREAMAPP_BROKER{place}"
        " ('streamapp broker' starts an embedded one)"
    )


@asynccontextmanager
async def reading(
    settings: Settings, topics: Sequence[str], *, from_beginning: bool
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that stands at its place; iterate it for every message as it comes.

    Args:
        settings: How to reach the broker.
        topics: Existing ones; all their partitions are read, without a consumer group.
        from_beginning: Whether to begin with the oldest message, or with the next one.
    """
    counts = await answered(settings, partition_counts(settings, topics))
    partitions = [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
    consumer = AIOKafkaConsumer(**kafka_client_options(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        ends = {} if from_beginning else await log_ends(consumer, partitions)
        consumer.assign(partitions)
        if from_beginning:
            await consumer.seek_to_beginning(*partitions)
        for place, end in ends.items():
            consumer.seek(place, end)
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer whose retries neither duplicate a record nor let one overtake another."""
    producer = await _started_producer(settings)
    try:
        yield producer
    finally:
        await producer.stop()


async def _started_producer(settings: Settings) -> AIOKafkaProducer:
    for is_idempotent in (True, False):
        producer = AIOKafkaProducer(
            **kafka_client_options(settings),
            acks="all",
            enable_idempotence=is_idempotent,
            linger_ms=5,
            max_batch_size=262_144,
        )
        try:
            await producer.start()
        except UnknownError:
            # The embedded broker has no idempotence. The client keeps the order without it too.
            await producer.stop()
            if not is_idempotent:
                raise
        except BaseException:
            await producer.stop()
            raise
        else:
            break
    return producer
