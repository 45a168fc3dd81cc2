"""The ends of partitions' logs, as a fetch tells them.

The embedded broker answers a question for the end of a log with the first record of the last batch,
plus one; with a fetch it tells the whole. A reader that trusts the answer leaves out up to a batch.
"""

import asyncio
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

#: A broker that hands out nothing for so long, while there is something to read, is gone, seconds.
STALL_S = 15.0
#: Longest wait of one look, milliseconds.
LOOK_MS = 200


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
            raise KafkaTimeoutError("the broker hands out no records")
    return ends
