"""Partitions that are held, resumed or sought back, one by one, while others go on."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import structlog
from faust.types import TP

from streamapp.records.codec import recover_id
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.consumer.stalled_partitions import StalledPartitions
from streamapp.streaming.flows.assignor import HeldPartitions
from streamapp.streaming.window.partition_state import PartitionState
from streamapp.streaming.window.taken_record import TakenRecord
from streamapp.streaming.window.window import Window

log = structlog.get_logger(__name__)


class PartitionFlow:
    """What the app does with the consumer's partitions while the window is open.

    Args:
        window: Says which partitions are held, and where each stands.
        consumer: Returns the app's, once it has one.
        without_ledger: Says which partitions have none.
        clock: Monotonic seconds.
        requests: The topic whose records have ids of their own.
    """

    def __init__(
        self,
        window: Window,
        consumer: Callable[[], Consumer],
        without_ledger: HeldPartitions,
        clock: Callable[[], float],
        requests: str,
    ) -> None:
        self._requests = requests
        self._window = window
        self._consumer = consumer
        self._without_ledger = without_ledger
        self._clock = clock
        self._stalled = StalledPartitions(clock)

    def clear(self, begun: Collection[TP] = ()) -> None:
        """Begin anew: the partitions are others; see `StalledPartitions.clear`."""
        self._stalled.clear(begun)
        self._look_for_ledgers()

    def _look_for_ledgers(self) -> None:
        for tp, partition in self._window.partitions.items():
            partition.has_ledger = self._without_ledger.has_ledger(tp)

    def hold(self, tp: TP) -> None:
        """Fetch nothing more of a partition: too much of it stands behind one record."""
        partition = self._window.partitions[tp]
        more: dict[str, Any] = {"behind": partition.next_unfinished}
        record = partition.held_behind(self._clock())
        if record and tp.topic == self._requests:
            more["id"] = recover_id(cast(TakenRecord, record).event.message.value)
        tell = log.warning if record else log.info
        tell("window.partition_held", topic=tp.topic, partition=tp.partition, **more)
        self._consumer().pause_partitions({tp})

    async def look(self) -> None:
        """Go on with what was held and has room again, and fetch again what Faust skipped.

        Nothing can be expected to move of an input for which the window has no room.
        """
        consumer = self._consumer()
        self._look_for_ledgers()
        for tp, offset in self._window.resumable():
            place = {"topic": tp.topic, "partition": tp.partition}
            log.info("window.partition_resumed", **place, offset=offset)
            await consumer.seek(tp, offset)
            consumer.resume_partitions({tp})
        moving = {
            tp: partition
            for tp, partition in self._window.partitions.items()
            if not self._window.is_full(tp.topic)
        }
        for tp, partition in moving.items():
            hole_end = consumer.hole_at_end(tp, partition.expected)
            if hole_end is not None:
                partition.pass_hole(hole_end)
        for tp, offset in self._stalled.due(moving, consumer.highwater):
            log.info("window.stall_sought", partition=tp.partition, offset=offset)
            await consumer.seek(tp, offset)


def held_lines(partitions: Mapping[TP, PartitionState], *, now: float) -> list[str]:
    """Return a line for each partition that waits for long behind one of its records.

    Args:
        partitions: Those of the window.
        now: By the window's clock, seconds.
    """
    return [
        f"{tp.topic}-{tp.partition} waits behind offset {record.offset}"
        for tp, partition in sorted(partitions.items())
        if (record := partition.held_behind(now)) is not None
    ]
