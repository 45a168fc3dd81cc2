"""A topic table to which every worker appends rows of its own, and in which all merge them."""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import NotReady, ProducerSendError
from faust.types import EventT
from mode import Service

from streamapp.streaming.tables.topic_table import TopicTable

log = structlog.get_logger(__name__)

PARTITION = 0
#: Seconds from one look for rows to append to the next.
APPEND_INTERVAL_S = 1.0
#: How long the last rows may take to be written at the end, seconds.
LAST_APPEND_S = 3.0


class Rows(Protocol):
    """What the workers share; merging a row twice changes nothing."""

    def take(self) -> list[tuple[bytes, bytes]]:
        """Return key and value of each own row that changed since the last time."""

    def untold(self) -> None:
        """Have every own row appended again: what was taken last may not have arrived."""

    def merge(self, key: bytes | None, value: bytes | None) -> None:
        """Hear of a row; what cannot be read is passed over."""


class SharedTable(TopicTable):
    """Appends the own rows as they change, and merges those of all.

    Args:
        app: Its workers all hold the whole table.
        name: Of the table.
        topic: One partition, compacted.
        rows: Taken from and merged into.
        append_interval_s: From one look for changed rows to the next.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        name: str,
        topic: str,
        rows: Rows,
        append_interval_s: float = APPEND_INTERVAL_S,
    ) -> None:
        self._rows = rows
        self._append_interval_s = append_interval_s
        super().__init__(app, name=name, topic=topic)

    async def on_changelog_event(self, event: EventT[Any]) -> None:
        """Hear of a row."""
        self._rows.merge(event.message.key, event.message.value)

    def apply_changelog_batch(self, batch: Any) -> None:
        """Leave the data alone: ``on_changelog_event`` has merged the rows."""

    async def begin_anew(self) -> None:
        """Have every own row told to the new topic; those of others are kept in memory."""
        self._rows.untold()

    async def append(self) -> None:
        """Append the own rows that changed; return when the broker has them, or wait for later."""
        try:
            deliveries = [
                await self.app.producer.send(self._topic, key, value, PARTITION, None, None)
                for key, value in self._rows.take()
            ]
            # A cancelled task must not cancel the producer's own futures.
            await asyncio.shield(asyncio.gather(*deliveries))
        except (KafkaError, ProducerSendError, NotReady) as error:
            self._rows.untold()
            name = type(error).__name__
            log.warning(f"{self.name}.not_told", error=name, retry_in_s=self._append_interval_s)

    async def append_last(self) -> None:
        """Append what is not written yet, within `LAST_APPEND_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_APPEND_S):
                await self.append()

    @Service.task
    async def _keep_appending(self) -> None:
        while not self.should_stop:
            # mode's own sleep would make a task for each wait.
            await asyncio.sleep(self._append_interval_s)
            await self.append()
