"""The ends of partitions' logs, as a fetch tells them.

The embedded broker answers a question for the end of a log with the first record of the last batch,
plus one; with a fetch it tells the whole. A reader that trusts the answer leaves out up to a batch.
"""

import asyncio
from collections.abc import AsyncIterator, Collection

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streamapp.settings import Settings
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.consumer.stalled_partitions import end_of

#: A broker that hands out nothing for so long, while there is something to read, is gone, seconds.
STALL_S = 15.0
#: Longest wait of one look, milliseconds.
LOOK_MS = 200

_SILENT = "the broker hands out no records"


async def log_ends(
    consumer: AIOKafkaConsumer, places: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the offset behind the last record of each partition, control records included.

    Args:
        consumer: A started one of no group. Its assignment and its positions are changed: assign
            and seek afterwards.
        places: Partitions of topics that exist.

    Raises:
        KafkaError: No broker answered, or it handed out nothing for ``STALL_S``.
    """
    if not places:
        return {}
    begins = await consumer.beginning_offsets(list(places))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(places))
    filled = {place for place in places if begins[place] < ends[place]}
    if not filled:
        # aiokafka's fetcher, on its way to an assignment, swallows the cancellation of a `stop`
        # that follows at once (0.14, `_fetch_requests_routine`): none is made for nothing.
        return ends
    consumer.assign(sorted(filled))
    for place in filled:
        consumer.seek(place, ends[place] - 1)
    give_up_at = asyncio.get_running_loop().time() + STALL_S
    while filled:
        await consumer.getmany(*filled, timeout_ms=LOOK_MS)
        for place in list(filled):
            if end := consumer.highwater(place):
                ends[place] = max(ends[place], end)
                filled.discard(place)
        if filled and asyncio.get_running_loop().time() > give_up_at:
            raise KafkaTimeoutError(_SILENT)
    return ends


async def reader_ends(
    settings: Settings, places: Collection[tuple[str, int]]
) -> dict[TopicPartition, int]:
    """Return where the next record of each partition will be for a reader of the settings.

    One that waits for transactions has the open ones still before it.

    Args:
        settings: How the broker is reached.
        places: Topic and partition, of topics that exist.

    Raises:
        KafkaError: As `log_ends`.
    """
    consumer = AIOKafkaConsumer(**log_reader_options(settings))
    try:
        await consumer.start()
        ends = await log_ends(consumer, [TopicPartition(*place) for place in places])
        return ends | {place: end_of(consumer, place) for place in consumer.assignment()}
    finally:
        await consumer.stop()


async def records_to_end(
    consumer: AIOKafkaConsumer, place: TopicPartition
) -> AsyncIterator[ConsumerRecord]:
    """Yield each record from the consumer's position to the end of the log, as it is by now.

    A log that ends before the position was made anew: it is read from its beginning.

    Args:
        consumer: A started one of no group, with this partition alone assigned.
        place: The partition.

    Raises:
        KafkaError: No broker answered, or it handed out nothing for ``STALL_S``: the topic may
            have been deleted, and the client would wait for it.
    """
    end: int = (await consumer.end_offsets([place]))[place]
    position = await consumer.position(place)
    if position > end:
        end = (await log_ends(consumer, [place]))[place]
        consumer.assign([place])
        consumer.seek(place, position if position <= end else 0)
    clock = asyncio.get_running_loop().time
    was_at, moved_at = position, clock()
    while (position := await consumer.position(place)) < end:
        if position != was_at:
            was_at, moved_at = position, clock()
        elif clock() - moved_at > STALL_S:
            raise KafkaTimeoutError(_SILENT)
        for records in (await consumer.getmany(place, timeout_ms=1000)).values():
            for record in records:
                yield record
        end = max(end, end_of(consumer, place) or 0)
