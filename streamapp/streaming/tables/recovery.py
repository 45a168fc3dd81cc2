"""Faust's recovery of tables, ended by the client's position and not by the last offset.

At the end of a topic can stand what is no record, such as a transaction's marker or an aborted
record: Faust would wait for it for ever. And the answers are read by the table itself, within a
bound; see `changelog_reader`. A topic of a table that was made anew is read from its beginning:
Faust would end the worker, which kept its place in the old one, or pass over what is below that.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service

from streamapp.errors import DeliveryFailed
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import reader_ends
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.topic_table import TopicTable

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 0.1
#: Between two looks whether there is a recovery at all.
REST_INTERVAL_S = 0.25
#: From one try to begin a table anew to the next.
RETRY_S = 1.0


class _HasSettings(Protocol):
    settings: Settings


class PositionRecovery(Recovery):
    """Faust's recovery for logs with holes."""

    logger = logging.getLogger(Recovery.__module__)  # as quiet as that

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ids: dict[str, bytes] = {}
        self._rebalance: int | None = None
        self._completed: int | None = None

    @property
    def is_overtaken(self) -> bool:
        """Whether another rebalance has begun since the one whose recovery ends.

        Faust looks at the generation, then waits for the committed offsets, and ends the rebalance
        whatever it is by then. A window that opened there would be of partitions whose ledger is
        not read, and the next opening would cut off what it had taken.
        """
        return self._completed not in (None, self.app.rebalancing_count)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Note which rebalance it is; the next one does not begin before this returns."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Note whose recovery it is."""
        self._completed = self._rebalance
        await super().on_recovery_completed(generation_id)

    async def _build_offsets(
        self, consumer: Any, tps: set[TP], destination: "Counter[TP]", title: str
    ) -> None:
        """Leave nothing to read of the tables that read their changelog themselves.

        Where more was read than there is by a broker's answer, its fetches are asked: the embedded
        one leaves out up to a batch, and Faust ends a worker for that. See `log_ends`.
        """
        await super()._build_offsets(consumer, tps, destination, title)
        ends = self.active_highwaters
        ahead = [tp for tp in tps if tp in ends and destination[tp] > ends[tp]]
        for place, end in (await self._ends(ahead) if ahead else {}).items():
            tp = TP(place.topic, place.partition)
            ends[tp] = max(ends[tp], end - 1)
        for tp in tps:
            if isinstance(self.tp_to_table.get(tp), AnswersTable):
                # Not beyond the end either: a changelog that was made anew is its reader's matter.
                destination[tp] = ends.get(tp, destination[tp])
        for tp, id in (await self._made_anew(consumer, tps, destination)).items():
            # However often it takes: with the old place Faust would end the worker.
            while not await self._has_begun_anew(tp):  # noqa: ASYNC110 - another try each time
                await asyncio.sleep(RETRY_S)
            self._ids[tp.topic] = id

    async def _made_anew(
        self, consumer: Any, tps: set[TP], read: Mapping[TP, int]
    ) -> Mapping[TP, bytes]:
        """Return the tables' partitions whose topic has another id, or ends before what was read.

        By the id that it has now: brokers before Apache Kafka 2.8 tell none.
        """
        mine = {tp for tp in tps if isinstance(self.tp_to_table.get(tp), TopicTable)}
        ids = await consumer.topic_ids({tp.topic for tp in mine}) if mine else {}
        if any(self._ids.get(topic, id) != id for topic, id in ids.items()):
            # The one that told it may be behind.
            ids = await consumer.topic_ids(ids, every_broker=True)
        ends, anew = self.active_highwaters, {}
        for tp in sorted(mine):
            known = self._ids.get(tp.topic, b"")
            id = ids.get(tp.topic, known)
            if (known and id != known) or (tp in ends and read[tp] > ends[tp]):
                anew[tp] = id
            else:
                self._ids[tp.topic] = id
        return anew

    async def _has_begun_anew(self, tp: TP) -> bool:
        try:
            await self.begin_anew(tp)
        except (KafkaError, DeliveryFailed) as error:
            log.warning("table.retry_scheduled", topic=tp.topic, error=type(error).__name__)
            return False
        return True

    async def begin_anew(self, tp: TP) -> None:
        """Have the topic of a table be read from its beginning; others are not the tables' matter.

        Raises:
            KafkaError: No broker answered.
            DeliveryFailed: The topic does not take what the table tells it.
        """
        table = self.tp_to_table.get(tp)
        if isinstance(table, TopicTable):
            await table.begin_anew()
            self.active_offsets[tp] = -1  # else Faust would pass over what is below

    async def _ends(self, tps: Collection[TP]) -> Mapping[TopicPartition, int]:
        """Return the offset behind the last record of each partition."""
        return await reader_ends(cast(_HasSettings, self.app).settings, tps)

    @Service.task
    async def _pass_holes_at_ends(self) -> None:
        while not self.should_stop:
            # mode's own sleep makes a task for each wait; what stops this service cancels it.
            await asyncio.sleep(POLL_INTERVAL_S if self.in_recovery else REST_INTERVAL_S)
            if self.in_recovery:
                self.pass_holes()

    def pass_holes(self) -> None:
        """Note the ends as read where the client found that they hold no record."""
        consumer = cast(Consumer, self.app.consumer)
        for tp, highwater in list(self.active_highwaters.items()):
            offset = self.active_offsets.get(tp)
            if offset is None or offset >= highwater or tp not in self.active_tps:
                continue
            hole_end = consumer.hole_at_end(tp, offset + 1)
            if hole_end is not None and hole_end > highwater:
                self.active_offsets[tp] = highwater
                # Faust looks whether it is at the end when it takes an event: one that it has
                # seen already, so that it does nothing with it.
                nothing = SimpleNamespace(tp=tp, offset=-1, key=None, value=None)
                seen = SimpleNamespace(message=nothing)
                self.tables.changelog_queue.put_nowait(seen)


class Tables(TableManager):
    """Faust's manager of tables, with that recovery."""

    async def on_start(self) -> None:
        """Register the tables, and with them the topics, at once.

        Faust would sleep for a second before it, for tables that agents add while they start:
        all of ours are there before the app starts.
        """
        await self._update_channels()
        await self.recovery.start()

    async def begin_anew(self, tp: TP) -> None:
        """Have a table's topic read from its beginning; see `PositionRecovery.begin_anew`."""
        await self.recovery.begin_anew(tp)

    @property
    def recovery(self) -> PositionRecovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = PositionRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast(PositionRecovery, self._recovery)
