"""The table of learned limits: global, and its changelog is ``llm.limits`` itself.

What Faust skips around a rebalance is no loss here: the next change tells all of it again.
"""

import asyncio
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import NotReady, ProducerSendError
from faust.types import EventT
from mode import Service

from streamapp.llm.limits.learned_limits import LearnedLimits
from streamapp.streaming.tables.topic_table import TopicTable

log = structlog.get_logger(__name__)

TABLE_LIMITS = "limits"
PARTITION = 0
#: Seconds from one look for something to tell to the next.
POLL_INTERVAL_S = 1.0


class LimitsTable(TopicTable):
    """What was learned of limits, kept in ``learned``.

    Args:
        app: Its workers all hold the whole table.
        topic: One partition, compacted.
        learned: Told to the others, and told of them.
    """

    def __init__(self, app: faust.App, *, topic: str, learned: LearnedLimits) -> None:
        self._learned = learned
        super().__init__(app, name=TABLE_LIMITS, topic=topic)

    async def on_changelog_event(self, event: EventT[Any]) -> None:
        """Hear of a limit."""
        self._learned.merge(event.message.key, event.message.value)

    def apply_changelog_batch(self, batch: Any) -> None:
        """Leave the data alone: ``on_changelog_event`` has told the limits."""

    async def tell(self) -> None:
        """Append what was learned; return when the broker has it, or leave it for later."""
        try:
            deliveries = [
                await self.app.producer.send(self._topic, key, value, PARTITION, None, None)
                for key, value in self._learned.take()
            ]
            # A cancelled task must not cancel the producer's own futures.
            await asyncio.shield(asyncio.gather(*deliveries))
        except (KafkaError, ProducerSendError, NotReady) as error:
            self._learned.untold()
            log.warning("limits.not_told", error=type(error).__name__)

    @Service.task
    async def _keep_telling(self) -> None:
        while not self.should_stop:
            await self.sleep(POLL_INTERVAL_S)
            await self.tell()
