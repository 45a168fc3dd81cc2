"""The topic ``llm.prompts`` read to its end and written to, outside of any consumer group.

Commands work on it, and a worker at its start, before it joins its group.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streamapp.errors import DeliveryFailed
from streamapp.prompts.events import Event, encode
from streamapp.prompts.files import PromptFile
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.history import History
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import records_to_end
from streamapp.streaming.broker.security import kafka_client_options, log_reader_options

log = structlog.get_logger(__name__)

#: One partition: its order decides which of two writers came first.
PARTITION = 0

#: Longest wait for a producer that closes with a record on its way, seconds.
CLOSE_S = 1.0
#: Until its task that goes on is cancelled again, seconds.
AGAIN_S = 0.1


class PromptLog:
    """Keeps ``history`` at the topic's end; an async context manager.

    Raises:
        KafkaError: Of every method: no broker answered.
    """

    def __init__(self, settings: Settings, history: History) -> None:
        self.history = history
        self._settings = settings
        self._place = TopicPartition(settings.topic("prompts"), PARTITION)
        self._stack = AsyncExitStack()
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        consumer = AIOKafkaConsumer(
            **log_reader_options(self._settings),
            fetch_max_wait_ms=50,
        )
        self._stack.push_async_callback(consumer.stop)
        try:
            await consumer.start()
            consumer.assign([self._place])
            consumer.seek(self._place, self.history.position)
            self._consumer = consumer
            await self.catch_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def catch_up(self) -> None:
        """Apply every event that is on the topic by now."""
        async for record in records_to_end(self._consumer, self._place):
            self.history.apply(record.offset, record.key, record.value, record.headers)

    async def write(self, name: str, event: Event) -> EventOutcome:
        """Append the event and return what became of it.

        Raises:
            DeliveryFailed: The broker did not take it.
        """
        if self._producer is None:
            # A retry can write twice: every event does the same again, that is nothing.
            producer = AIOKafkaProducer(**kafka_client_options(self._settings), acks="all")
            self._stack.push_async_callback(_stop, producer)
            await producer.start()
            self._producer = producer
        try:
            written = await self._producer.send_and_wait(
                self._place.topic, encode(event), key=name.encode(), partition=PARTITION
            )
        except KafkaError as error:
            raise DeliveryFailed(f"{self._place.topic}: {type(error).__name__}") from error
        await self.catch_up()
        outcome = self.history.outcome(written.offset)
        assert outcome is not None  # just read
        return outcome


async def _stop(producer: AIOKafkaProducer) -> None:
    """Close a producer; what it could not deliver until now nobody waits for."""
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait([stopping], timeout=CLOSE_S)
    sender = producer._sender.sender_task
    while sender is not None and not sender.done():
        sender.cancel()  # the first one has it wait for what is on a connection
        await asyncio.wait([sender], timeout=AGAIN_S)
    await stopping


async def publish_files(
    settings: Settings,
    history: History,
    files: Mapping[str, PromptFile],
    *,
    now: Callable[[], datetime],
) -> None:
    """Bring ``history`` to the topic's end, with a version of every file in it.

    Workers that start together may all publish: equal content is one version.
    """
    async with PromptLog(settings, history) as prompts:
        for name, file in files.items():
            event = file.event(created_at=now())
            prompt = history.prompts.get(name)
            if prompt is None or event.digest() not in prompt.numbers:
                outcome = await prompts.write(name, event)
                log.info("prompts.published", prompt=name, version=outcome.version)
