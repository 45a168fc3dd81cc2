"""Faust's recovery of tables, ended by the client's position and not by the last offset.

At the end of a topic can stand what is no record, such as a transaction's marker or an aborted
record: Faust would wait for it for ever. And the answers are read by the table itself, within a
bound; see `changelog_reader`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, cast

from aiokafka import TopicPartition
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service

from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import reader_ends
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.tables.answers import AnswersTable

POLL_INTERVAL_S = 0.1
#: Between two looks whether there is a recovery at all.
REST_INTERVAL_S = 0.25


class _HasSettings(Protocol):
    settings: Settings


class PositionRecovery(Recovery):
    """Faust's recovery for logs with holes."""

    logger = logging.getLogger(Recovery.__module__)  # as quiet as that

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

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = PositionRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
