"""The question for the ids of topics, which aiokafka does not ask.

A topic that is deleted and made anew has the same name and another id; its offsets say nothing
of that. This is version 10 of the metadata request, which Apache Kafka knows since 2.8.

With the id goes a mark of its cluster. What mirrors a topic to another one, where that has another
id as well, may copy its offsets, and what stands beside them: nothing was made anew there.

Source: https://kafka.apache.org/protocol.html#The_Messages_Metadata
"""

import asyncio
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError, KafkaError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from faust.types import TP

#: What stands for no id.
NONE = bytes(16)
#: Bytes of an id with its cluster's mark.
MARKED_BYTES = len(NONE) + 4
#: Longest wait for one broker, seconds.
LIMIT_S = 5.0


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(len(NONE))


_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)),
    ("tags", TaggedFields),
)


class TopicIdsResponse(Response):  # type: ignore[misc]  # likewise
    """What a broker answers."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                ("partitions", CompactArray(*_PARTITION)),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _TopicIdsStruct(RequestStruct):  # type: ignore[misc]  # likewise
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = TopicIdsResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdsRequest:
    """The question, in the shape that a connection sends; it makes no topic.

    Args:
        topics: Names.
    """

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Return it for a broker; ``versions`` that this knows are by API key.

        Raises:
            IncompatibleBrokerVersion: It knows others.
        """
        least, most = versions.get(_TopicIdsStruct.API_KEY, (0, 0))
        if not least <= _TopicIdsStruct.API_VERSION <= most:
            raise IncompatibleBrokerVersion("the broker tells no ids of topics")
        topics: list[tuple[bytes, str, dict[int, bytes]]] = [
            (NONE, topic, {}) for topic in sorted(self._topics)
        ]
        return _TopicIdsStruct(topics, False, False, False, {})


async def topic_ids(
    client: AIOKafkaClient,
    topics: Collection[str],
    *,
    node: int | None = None,
    every_broker: bool = False,
) -> Mapping[str, bytes]:
    """Return the marked ids of topics; without those that are gone, or have none to tell.

    Args:
        client: A started one.
        topics: Names.
        node: Of the broker that is asked; any where None.
        every_broker: Whether all are asked: one that is behind tells an id that is no more.
            A topic that they do not agree about is left out.
    """
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    if not every_broker:
        one = client.get_random_node() if node is None else node
        nodes = [] if one is None or not topics else [one]
    told = await asyncio.gather(*(_told(client, node, topics) for node in nodes))
    found: dict[str, set[bytes]] = {}
    for topic, id in (each for ids in told for each in ids.items()):
        found.setdefault(topic, set()).add(id)
    return {topic: ids.pop() for topic, ids in found.items() if len(ids) == 1}


async def id_of(client: AIOKafkaClient, topic: str, *, is_known: bool) -> bytes:
    """Return the marked id of one topic; empty where its brokers tell none.

    Args:
        client: A started one.
        topic: Its name.
        is_known: Whether an id of it is known: then another one has to be told for sure, and all
            brokers are asked, as one may be behind.

    Raises:
        KafkaConnectionError: It is known, and for now nobody tells it, or they do not agree.
    """
    found = (await topic_ids(client, [topic], every_broker=is_known)).get(topic, b"")
    if is_known and not found:
        raise KafkaConnectionError(f"no broker tells the id of {topic}")
    return found


def changed(read_of: Mapping[TP, bytes], ids: Mapping[str, bytes]) -> dict[TP, bytes]:
    """Return the partitions whose topic has another id by now, by that.

    Args:
        read_of: The id by partition; empty where none is known.
        ids: By topic, as far as they are told.
    """
    todays = {tp: ids.get(tp.topic, b"") for tp in read_of}
    return {
        tp: todays[tp]
        for tp, id in read_of.items()
        if id != todays[tp] and is_of_cluster(id, todays[tp])
    }


def is_of_cluster(id: bytes, other: bytes) -> bool:
    """Whether two ids are known, and of topics of one cluster."""
    return bool(id and other) and id[len(NONE) :] == other[len(NONE) :]


async def _told(client: AIOKafkaClient, node: int, topics: Collection[str]) -> dict[str, bytes]:
    try:
        async with asyncio.timeout(LIMIT_S):
            answer: Any = await client.send(node, TopicIdsRequest(topics))
    except (KafkaError, TimeoutError):  # an older broker, or one that is away
        return {}
    mark = zlib.crc32((answer.cluster_id or "").encode()).to_bytes(4)
    return {
        topic: id + mark
        for code, topic, id, *_ in answer.topics or ()
        if not code and id not in (NONE, None)
    }
