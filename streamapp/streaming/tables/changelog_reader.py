"""A changelog read from an offset to its end, past Faust: in bounded memory, ended by position.

Faust gathers a changelog in a queue of 4,096 records and in buffers of 1,000, however large they
are, and waits for the last offset, where a transaction's marker can stand. Here a few megabytes
are on their way at once, the loop turns between them, and the end is the client's position.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from faust.types import TP

from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import log_ends
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.consumer.fetched_records import FetchedRecords, UnreadableBatch
from streamapp.streaming.log_place import LastRecords, LogPlace
from streamapp.streaming.protocol.topic_ids import id_of, topic_ids

log = structlog.get_logger(__name__)

#: Most records, and about as many bytes of each partition, that are taken in one turn.
RECORDS_AT_ONCE, FETCH_BYTES = 200, 1_048_576
#: All partitions together, bytes.
FETCH_BYTES_IN_ALL = 4 * 1_048_576
WAIT_S = 0.2
RETRY_S = 1.0
#: What hands out nothing for so long may have been deleted, seconds.
STALL_S = 3.0

#: Waits between looks for partitions that a broker does not know, seconds: one that has just
#: started, or did not create the topic itself, may learn of it later than others.
LOOKS_S = (0.1, 0.2, 0.4, 0.8, 1.6)

#: Takes one record: partition, offset, key, value.
Take = Callable[[int, int, bytes | None, bytes | None], None]


class ChangelogReader:
    """Reads with a consumer of its own, of no group; made anew for each reading.

    Args:
        settings: How the broker is reached.
        topic: Name of the changelog.
        clock: Monotonic seconds.
    """

    def __init__(
        self, settings: Settings, topic: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._clock = clock
        self._fetched = FetchedRecords()

    @property
    def unreadable(self) -> Mapping[TP, UnreadableBatch]:
        """What holds the reading."""
        return self._fetched.unreadable

    async def read(
        self, starts: Mapping[int, LogPlace], take: Take, *, on_anew: Callable[[int], None]
    ) -> dict[int, LogPlace]:
        """Hand every record on to ``take``, in each partition's order.

        A broker that is away is waited for, and so is a batch that cannot be read. There is nothing
        to read of a topic that no broker knows: it was deleted, perhaps in the middle of the
        reading, or not created yet. A topic with another id was made anew, and is read from its
        beginning; brokers before Apache Kafka 2.8 tell none: there, one is known that ends before
        its start. So is one that lost its end (an unclean election, a restored broker), where
        another record stands before the start by now. One that is not there tells nothing.

        Args:
            starts: Where each partition that is wanted begins.
            take: Must not raise.
            on_anew: Told of each partition that was made anew, before its first record.

        Returns:
            The place behind what was read, of each partition; of none that is missing where the
            topic has others: nothing could be written there either.
        """
        left = {partition: place.offset for partition, place in starts.items()}
        lasts = LastRecords(starts)
        ids = {partition: place.topic_id for partition, place in starts.items()}
        done: dict[int, int] = {}

        def begin_anew(partition: int) -> None:
            log.warning("changelog.begun_anew", topic=self._topic, partition=partition)
            left[partition] = 0  # it holds what was never read
            lasts.forget(partition)
            on_anew(partition)

        while left:
            try:
                await self._read_once(left, ids, lasts, done, take, begin_anew)
            except (KafkaError, OSError) as error:
                name = type(error).__name__
                log.warning("changelog.retry_scheduled", error=name, retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)
        return {p: LogPlace(end, ids[p], lasts.before(p, end)) for p, end in done.items()}

    async def _read_once(
        self,
        left: dict[int, int],
        ids: dict[int, bytes],
        lasts: LastRecords,
        done: dict[int, int],
        take: Take,
        begin_anew: Callable[[int], None],
    ) -> None:
        """Read on from ``left``, and move partitions from there to ``done`` at their end."""
        consumer = AIOKafkaConsumer(
            **log_reader_options(self._settings),
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES_IN_ALL,
        )
        try:
            await consumer.start()
            there = await self._there(consumer, left.keys())
            for partition in left.keys() - there:
                log.critical("changelog.missing", topic=self._topic, partition=partition)
                del left[partition]
                if not there:
                    done[partition] = 0
            if not left:
                return
            is_known = any(ids[partition] for partition in left)
            id = await id_of(consumer._client, self._topic, is_known=is_known)
            for partition in left:
                known, ids[partition] = ids[partition], id
                if known and known != id:
                    begin_anew(partition)
            places = {TopicPartition(self._topic, partition): partition for partition in left}
            consumer.assign(list(places))
            begins = await consumer.beginning_offsets(list(places))
            ends = await consumer.end_offsets(list(places))
            ahead = [place for place, partition in places.items() if left[partition] > ends[place]]
            if ahead:
                ends |= await log_ends(consumer, ahead)
                consumer.assign(list(places))
            for place, partition in places.items():
                if left[partition] > ends[place]:
                    begin_anew(partition)
                left[partition] = max(left[partition], begins[place])
                consumer.seek(place, lasts.begin(partition, left[partition], begins[place]))
            told, moved_at = set[TopicPartition](), self._clock()
            while left:
                for place, partition in places.items():
                    is_there = partition in left and left[partition] >= ends[place]
                    if is_there and partition not in lasts.unseen:
                        done[partition] = left.pop(partition)
                if not left:
                    return
                if await self._take_some(consumer, places, left, lasts, take, begin_anew):
                    moved_at = self._clock()
                elif self._clock() - moved_at > STALL_S:
                    await self._require_there(consumer, {p: ids[p] for p in left})
                    for place in told:
                        if lasts.pass_over(places[place]):  # a fetch told nothing of it
                            consumer.seek(place, left[places[place]])
                    moved_at = self._clock()
                for place in places.keys() - told:
                    # The first fetch knows the end of a log better than the answer before it.
                    if end := consumer.highwater(place):
                        ends[place] = max(ends[place], end)
                        told.add(place)
        finally:
            await consumer.stop()

    async def _there(self, consumer: AIOKafkaConsumer, wanted: Collection[int]) -> set[int]:
        """Return the partitions that brokers know; all that are wanted, as soon as they do.

        Raises:
            KafkaError: No broker answered, or none tells us.
        """
        client, there = consumer._client, set[int]()
        looks = iter(LOOKS_S)
        has_looked = await client.add_topic(self._topic)
        while has_looked:
            if self._topic in client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(self._topic)
            there |= consumer.partitions_for_topic(self._topic) or set()
            if there.issuperset(wanted) or (wait_s := next(looks, None)) is None:
                return there
            await asyncio.sleep(wait_s)
            has_looked = await client.force_metadata_update()
        raise KafkaConnectionError(self._topic)

    async def _require_there(self, consumer: AIOKafkaConsumer, ids: Mapping[int, bytes]) -> None:
        """Look whether the topic is still the one that is read: the client would wait for it.

        Args:
            consumer: Reads it.
            ids: Of the topic, by partition that is wanted.

        Raises:
            UnknownTopicOrPartitionError: A broker says that it is not.
        """
        client = consumer._client
        if not await client.force_metadata_update():
            return  # none answers
        there = consumer.partitions_for_topic(self._topic) or set()
        id = (await topic_ids(client, [self._topic])).get(self._topic, b"")
        if not there.issuperset(ids) or (id and {id} != set(ids.values())):
            raise UnknownTopicOrPartitionError(self._topic)

    async def _take_some(
        self,
        consumer: AIOKafkaConsumer,
        places: Mapping[TopicPartition, int],
        left: dict[int, int],
        lasts: LastRecords,
        take: Take,
        begin_anew: Callable[[int], None],
    ) -> bool:
        """Hand on what there is by now; return whether that is anything, or a hole was passed."""
        before = dict(left)
        wanted = {place for place, partition in places.items() if partition in left}
        taken = await self._fetched.take(consumer, wanted, timeout_s=WAIT_S, limit=RECORDS_AT_ONCE)
        for records in taken.values():
            if lasts.is_other(records[0]):
                begin_anew(records[0].partition)
                raise OffsetOutOfRangeError
            for record in records:
                if record.offset >= left[record.partition]:
                    take(record.partition, record.offset, record.key, record.value)
            lasts.note(records[-1])
        if self._fetched.out_of_range:
            # Its retention, or a leader that lacks its end, overtook the reading.
            self._fetched.out_of_range.clear()
            raise OffsetOutOfRangeError
        unreadable = self._fetched.unreadable
        for place in wanted:
            partition = places[place]
            if TP(*place) in unreadable and lasts.pass_over(partition):  # it is not needed
                del unreadable[TP(*place)]
                consumer.seek(place, left[partition])
            if (at := await consumer.position(place)) >= left[partition]:
                left[partition] = at
                lasts.pass_over(partition)
        await asyncio.sleep(0)  # probes want their turn
        return left != before
