"""The table of what all workers have spent: global, and its changelog is ``llm.spend`` itself.

Each worker appends its own sums and reads those of all; `llm/costs/spend.py` tells why that never
counts twice. What Faust skips around a rebalance (docs/architecture.md) is read past Faust once
the rebalance is over. Offsets do not tell it here, as they do for prompts: compaction leaves
holes everywhere.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import EventT
from mode import Service

from streamapp.llm.costs.spend import Spend
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import records_to_end
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.tables.shared_table import PARTITION, SharedTable

log = structlog.get_logger(__name__)

TABLE_SPEND = "spend"
#: Seconds from one look for sums to append, or to read again, to the next.
POLL_INTERVAL_S = 0.5

#: Hands every record from an offset on to ``take``, up to the topic's end; returns that.
Read = Callable[[int, Callable[[bytes, bytes | None], None]], Awaitable[int]]


class SpendTable(SharedTable):
    """What was spent, kept in ``spend``, which forgets past windows.

    Args:
        app: Its workers all hold the whole table.
        topic: One partition, compacted.
        spend: Told to the others, and told of them.
        read: Reads the topic past Faust; raises ``KafkaError``.
    """

    def __init__(self, app: faust.App, *, topic: str, spend: Spend, read: Read) -> None:
        self._spend = spend
        self._read = read
        self._position = 0  # of Faust's reading
        self._whole_to = 0  # nothing below was missed
        self._seen_rebalances = 0
        super().__init__(
            app, name=TABLE_SPEND, topic=topic, rows=spend, append_interval_s=POLL_INTERVAL_S
        )

    async def on_changelog_event(self, event: EventT[Any]) -> None:
        """Hear of a sum."""
        await super().on_changelog_event(event)
        self._position = max(self._position, event.message.offset + 1)

    async def begin_anew(self) -> None:
        """Read the new topic whole, and have the own sums told to it."""
        self._position = self._whole_to = 0
        await super().begin_anew()

    @Service.task
    async def _keep_whole(self) -> None:
        while not self.should_stop:
            await asyncio.sleep(POLL_INTERVAL_S)  # mode's own would make a task for each wait
            await self.look_again()

    async def look_again(self) -> None:
        """Read what Faust may have skipped, once after each rebalance."""
        if self.app.rebalancing:
            return
        rebalances = self.app.rebalancing_count
        if rebalances == self._seen_rebalances:
            self._whole_to = max(self._whole_to, self._position)
            return
        try:
            self._whole_to = await self._read(self._whole_to, self._spend.merge)
        except KafkaError as error:
            name = type(error).__name__
            log.warning("spend.not_read", error=name, retry_in_s=POLL_INTERVAL_S)
        else:
            self._seen_rebalances = rebalances


class SpendTopic:
    """Reads the topic with a consumer of its own, of no group; made anew for each reading."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = TopicPartition(settings.topic("spend"), PARTITION)

    async def read(self, start: int, take: Callable[[bytes, bytes | None], None]) -> int:
        """Hand the key and value of every record from ``start`` on to ``take``.

        Returns:
            The topic's end.

        Raises:
            KafkaError: No broker answered.
        """
        place = self._place
        consumer = AIOKafkaConsumer(
            **log_reader_options(self._settings),
        )
        try:
            await consumer.start()
            consumer.assign([place])
            consumer.seek(place, start)
            async for record in records_to_end(consumer, place):
                take(record.key or b"", record.value)
            position: int = await consumer.position(place)
            return position
        finally:
            await consumer.stop()
