"""The first offsets of a new flow: the end of its input, committed before a record is taken.

Faust begins at the log's beginning where nothing is committed. A flow that begins at the end
notes that end at once: were it found anew after a crash, what was written meanwhile would be
passed over.
"""

from collections.abc import Mapping
from typing import Any, cast

import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.types import TP

log = structlog.get_logger(__name__)


class FirstOffsets(AIOKafkaConsumer):
    """Faust's consumer, for topics that a new group reads from their end.

    The app names them in ``from_latest``.
    """

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek all partitions, those that were never read to their end where that is wanted.

        Raises:
            KafkaError: The end could not be committed; the group joins again.
        """
        found: dict[TP, Any] = {
            TP(*tp): offset for tp, offset in (await super().seek_to_committed()).items()
        }
        wanted = cast(Any, self.app).from_latest
        fresh = [tp for tp, offset in found.items() if offset is None and tp.topic in wanted]
        if not fresh:
            return found
        ends = {TP(*tp): end for tp, end in (await self.highwaters(*fresh)).items()}
        if not await self._thread.commit(ends):
            raise KafkaError("the first offsets of a new flow were not committed")
        for tp, end in ends.items():
            await self.seek(tp, end)
            log.info("flows.begins", topic=tp.topic, partition=tp.partition, offset=end)
        return found | ends
