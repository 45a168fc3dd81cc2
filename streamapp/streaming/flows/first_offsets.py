"""The first offsets of a new flow: the ends of its input, committed before a record is taken.

Faust begins at the log's beginning where nothing is committed. A flow that begins at the end
notes the ends of all partitions at once: were they found anew after a crash, what was written
meanwhile would be passed over. So a partition without one is no part of what the flow began with:
it was added to the input later, and all that it holds is the flow's.

The worker of the topic's first partition notes them. Two that did so at once would each begin at
an end of its own, and replace the other's by one that may be further on: what lies between would
be passed over by whoever takes the partition next. So the others wait for it, for longer than the
group does: one that was frozen is no member then, and notes nothing any more. One that runs and
is slow finds what others noted meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, cast

import structlog
from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.types import TP

from streamapp.streaming.broker.log_ends import reader_ends
from streamapp.streaming.flows.assignor import Cluster
from streamapp.streaming.flows.begun_flows import BegunFlows, begun_topic
from streamapp.streaming.flows.first_commits import FirstCommits

log = structlog.get_logger(__name__)

#: After each look a worker waits so long for those that note the ends, seconds.
LOOK_S = 0.1
#: In all it waits for so much longer than a session, and for a minute at most: within a session it
#: learns of a member that is frozen, as another generation begins.
BEYOND_S, LONGEST_S = 2.0, 60.0


class FirstOffsets(AIOKafkaConsumer):
    """Faust's consumer, for topics that a new group reads from their end.

    The app names them in ``from_latest``.
    """

    _later: Callable[[float], Awaitable[object]] = staticmethod(asyncio.sleep)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The ledgers of all flows have the offsets looked for at the same time.
        self._beginning = asyncio.Lock()

    @cached_property
    def _begun(self) -> BegunFlows:
        """The topics that are known to be begun: one of another id was made anew."""
        app = cast(Any, self.app)
        topic = begun_topic(app.settings).name
        return BegunFlows(app.from_latest, topic, self._first_commits)

    @property
    def _first_commits(self) -> FirstCommits:
        return cast(FirstCommits, self._thread)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit, as Faust does each second, and keep the mark of what has begun."""
        did_commit: bool = await super().commit(topics, start_new_transaction)
        app = cast(Any, self.app)
        # A look ends where a broker coordinates the group alone, and in a join not before that.
        if app.from_latest and not (self.should_stop or app.rebalancing):
            await self._begun.renew()
        return did_commit

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek all partitions, those of a new flow to their end where that is wanted.

        Raises:
            IllegalStateError: The group went on; the next assignment does the same.
            KafkaError: The ends could not be committed.
        """
        found: dict[TP, Any] = {
            TP(*tp): offset for tp, offset in (await super().seek_to_committed()).items()
        }
        wanted = cast(Any, self.app).from_latest
        thread = self._first_commits
        mine = {tp for tp in found if tp.topic in wanted}
        anew = mine & thread.made_anew.keys() - thread.committed.keys()
        fresh = {tp for tp in mine if found[tp] is None}
        begins: dict[TP, int] = {}
        session_s: float = cast(Any, self.app).settings.session_timeout_s
        patience_s = min(session_s + BEYOND_S, LONGEST_S)
        looks = iter(range(round(patience_s / LOOK_S)))  # for all topics together
        async with self._beginning:
            if anew:  # at once: the next look finds a topic of the same id, and nothing of it
                await thread.commit_first(dict.fromkeys(anew, 0))
            if fresh:
                await self._begun.look()
            for topic in {tp.topic for tp in fresh}:
                own = {tp for tp in fresh if tp.topic == topic}
                begins |= await self._begin(topic, own, looks)
            if wanted:
                await self._begun.note({tp.topic: self._id_of(tp) for tp in mine})
        for tp in fresh & begins.keys():
            found[tp] = begins[tp]
            await self.seek(tp, begins[tp])
            log.info("flows.begins", topic=tp.topic, partition=tp.partition, offset=begins[tp])
        return found

    async def _begin(self, topic: str, fresh: set[TP], looks: Iterator[int]) -> Mapping[TP, int]:
        """Return where partitions of a topic begin; those left out at their beginning."""
        thread = self._first_commits
        cluster: Cluster = cast(Any, self).cluster
        known = cluster.partitions_for_topic(topic) or ()
        partitions = fresh | {TP(topic, number) for number in known}
        is_anew = self._begun.is_made_anew(topic, self._id_of(min(fresh)))
        committed = await thread.stored(partitions)
        is_others = not is_anew and min(partitions) not in fresh
        generation = self.app.consumer_generation_id
        while is_others and not committed and next(looks, None) is not None:
            await self._later(LOOK_S)
            if self.app.consumer_generation_id != generation:
                raise IllegalStateError("the group went on before a new flow was begun")
            committed = await thread.stored(partitions)
        if committed:  # by another worker just now, or long ago and of other partitions
            return {tp: each.offset for tp, each in committed.items()}
        if is_anew:
            thread.note_anew(fresh)
            begins = dict.fromkeys(partitions, 0)
        else:
            begins = await self._ends(partitions)
        return await thread.commit_first(begins)

    def _id_of(self, tp: TP) -> bytes:
        """Return the id of the topic that a partition is read of; empty where none is told."""
        return self._first_commits.read_of.get(tp, b"")

    async def _ends(self, partitions: Collection[TP]) -> dict[TP, int]:
        """Return where each begins at its end, as a fetch tells it and not a question for it."""
        settings = cast(Any, self.app).settings
        return {TP(*tp): end for tp, end in (await reader_ends(settings, partitions)).items()}
