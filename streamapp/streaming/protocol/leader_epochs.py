"""The question up to where a log still is the one that was read, by the epochs of its leaders.

Each leader of a partition writes its number, the epoch, into the batches that it takes. Where a log
lost its end, with a broker that was killed or a leader that was behind, a later leader went on
from there. So the end of the epoch that was read last is where it was cut off: what stands below
was read, or is older, and what stands above is new. Kafka's own consumer does so (KIP-320).

Source: https://kafka.apache.org/protocol.html#The_Messages_OffsetForLeaderEpoch
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, LeaderNotAvailableError
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String
from faust.types import TP

from streamapp.streaming.protocol.topic_ids import LIMIT_S, TopicIdsRequest, marked_ids

#: In a batch, behind its base offset and length: the epoch, 4 bytes, and the number of its format.
_EPOCH, _FORMAT = slice(12, 16), slice(16, 17)
#: What a leader answers that changes, or does not know yet what it is. Source: Kafka protocol
#: guide, "Error codes".
_CHANGES = frozenset({5, 6, 9, 74, 75})


class EpochEndResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """What a broker answers."""

    API_KEY = 23
    API_VERSION = 2
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader_epoch", Int32),
                        ("end_offset", Int64),
                    ),
                ),
            ),
        ),
    )


class _EpochEndStruct(RequestStruct):  # type: ignore[misc]  # likewise
    API_KEY = 23
    API_VERSION = 2
    RESPONSE_TYPE = EpochEndResponse
    SCHEMA = Schema(
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("leader_epoch", Int32),
                    ),
                ),
            ),
        ),
    )


class EpochEndRequest:
    """The question for the end of one epoch, in the shape that a connection sends.

    Args:
        tp: The partition.
        epoch: Whose end is asked for, or that of the last one before it.
        current: The leader's own; one that has another answers by an error.
    """

    def __init__(self, tp: TP, epoch: int, *, current: int) -> None:
        self._asked = [(tp.topic, [(tp.partition, current, epoch)])]

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Return it for a broker; ``versions`` that this knows are by API key.

        Raises:
            IncompatibleBrokerVersion: It knows others.
        """
        least, most = versions.get(_EpochEndStruct.API_KEY, (0, 0))
        if not least <= _EpochEndStruct.API_VERSION <= most:
            raise IncompatibleBrokerVersion("the broker tells no ends of epochs")
        return _EpochEndStruct(self._asked)


def note_epochs(response: Any, epochs: MutableMapping[TP, int]) -> None:
    """Note of what epoch the first batch of each partition in a response to a fetch is.

    Where later ones are of another, it is an older one that is noted: more is read again.
    """
    for topic, partitions in response.topics:
        for partition, *_, records in partitions:
            if records and records[_FORMAT] == b"\2":
                epochs[TP(topic, partition)] = int.from_bytes(records[_EPOCH], signed=True)


async def cut_at(client: AIOKafkaClient, tp: TP, epoch: int | None, topic_id: bytes) -> int | None:
    """Return where a log was cut off that is shorter than what was read of it.

    Args:
        client: A started one.
        tp: The partition.
        epoch: Of what was read last; None where that is not known.
        topic_id: Of the topic that it was read of; empty where it is not known.

    Returns:
        None where that cannot be told for sure: the topic is another one, its leader is still the
        one that was read from, or brokers of its version tell none.

    Raises:
        KafkaError: Nobody leads the partition for now.
        TimeoutError: The leader did not answer.
    """
    if epoch is None or epoch < 0 or not topic_id:
        return None
    leader = client.cluster.leader_for_partition(tp)
    if leader in (None, -1):
        raise LeaderNotAvailableError
    try:
        async with asyncio.timeout(LIMIT_S):
            topic: Any = await client.send(leader, TopicIdsRequest([tp.topic]))
            current = _epochs(topic).get(tp, -1)
            if marked_ids(topic).get(tp.topic) != topic_id or current <= epoch:
                return None
            answer: Any = await client.send(leader, EpochEndRequest(tp, epoch, current=current))
    except IncompatibleBrokerVersion:
        return None
    [(_, [(code, _, told, end)])] = answer.topics
    if code in _CHANGES:
        raise LeaderNotAvailableError
    return int(end) if not code and 0 <= told <= epoch and end >= 0 else None


def _epochs(answer: Any) -> dict[TP, int]:
    """Return the epochs of leaders in an answer to `TopicIdsRequest`."""
    return {
        TP(topic, partition): epoch
        for _, topic, _, _, partitions, *_ in answer.topics
        for _, partition, _, epoch, *_ in partitions
    }
