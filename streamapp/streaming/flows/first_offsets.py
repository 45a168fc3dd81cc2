"""The first offsets of a new flow: the ends of its input, committed before a record is taken.

Faust begins at the log's beginning where nothing is committed. A flow that begins at the end
notes the ends of all partitions at once: were they found anew after a crash, what was written
meanwhile would be passed over. So a partition without one is no part of what the flow began with:
it was added to the input later, and all that it holds is the flow's.

The worker of the topic's first partition notes them. Two that did so at once would each begin at
an end of its own, and replace the other's by one that may be further on: what lies between would
be passed over by whoever takes the partition next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, Protocol, cast

import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.types import TP

from streamapp.streaming.broker.log_ends import reader_ends
from streamapp.streaming.flows.assignor import Cluster

log = structlog.get_logger(__name__)

#: How often, and how long after each look, a worker waits for those that note the ends, seconds.
LOOKS, LOOK_S = 30, 0.1


class FirstCommits(Protocol):
    """What is asked of the client's thread."""

    async def committed_of(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Return what the group has, also of partitions of other workers."""
        ...

    async def commit_first(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, also of partitions of other workers; return whether the group took it."""
        ...


class FirstOffsets(AIOKafkaConsumer):
    """Faust's consumer, for topics that a new group reads from their end.

    The app names them in ``from_latest``.
    """

    _later: Callable[[float], Awaitable[object]] = staticmethod(asyncio.sleep)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Topics that this worker knows to be begun: without an offset they were made anew.
        self._begun: set[str] = set()
        #: The ledgers of all flows have the offsets looked for at the same time.
        self._beginning = asyncio.Lock()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek all partitions, those of a new flow to their end where that is wanted.

        Raises:
            KafkaError: The ends could not be committed; the group joins again.
        """
        found: dict[TP, Any] = {
            TP(*tp): offset for tp, offset in (await super().seek_to_committed()).items()
        }
        wanted = cast(Any, self.app).from_latest
        mine = {tp for tp in found if tp.topic in wanted}
        fresh = {tp for tp in mine if found[tp] is None}
        begins: dict[TP, int] = {}
        looks = iter(range(LOOKS))  # for all topics together
        async with self._beginning:
            for topic in {tp.topic for tp in fresh}:
                own = {tp for tp in fresh if tp.topic == topic}
                begins |= await self._begin(topic, own, looks)
            self._begun |= {tp.topic for tp in mine}
        for tp in fresh & begins.keys():
            found[tp] = begins[tp]
            await self.seek(tp, begins[tp])
            log.info("flows.begins", topic=tp.topic, partition=tp.partition, offset=begins[tp])
        return found

    async def _begin(self, topic: str, fresh: set[TP], looks: Iterator[int]) -> Mapping[TP, int]:
        """Return where partitions of a topic begin; those left out at their beginning."""
        thread = cast(FirstCommits, self._thread)
        cluster: Cluster = cast(Any, self).cluster
        known = cluster.partitions_for_topic(topic) or ()
        partitions = fresh | {TP(topic, number) for number in known}
        is_anew = topic in self._begun
        committed = await thread.committed_of(partitions)
        is_others = not is_anew and min(partitions) not in fresh
        while is_others and not committed and next(looks, None) is not None:
            await self._later(LOOK_S)
            committed = await thread.committed_of(partitions)
        if committed:  # by another worker just now, or long ago and of other partitions
            return committed
        if is_anew:
            begins = dict.fromkeys(partitions, 0)
        else:
            begins = await self._ends(partitions)
        if not await thread.commit_first(begins):
            raise KafkaError("the first offsets of a new flow were not committed")
        return begins

    async def _ends(self, partitions: Collection[TP]) -> dict[TP, int]:
        """Return where each begins at its end, as a fetch tells it and not a question for it."""
        settings = cast(Any, self.app).settings
        return {TP(*tp): end for tp, end in (await reader_ends(settings, partitions)).items()}
