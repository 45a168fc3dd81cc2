"""The access rights of this worker, asked of the cluster before it joins the group.

Kafka's client only logs that it may not read. The request here is a later version of one that
aiokafka has; a broker that does not know it, or has no rights, is believed to allow all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.diagnosis import connection_options, host_and_port

#: Bits of a topic's operations. Source: Kafka's AclOperation.
BITS = {"Read": 1 << 3, "Write": 1 << 4}
READ, WRITE, BOTH = ("Read",), ("Write",), ("Read", "Write")

METADATA = 3
#: The first version that tells rights. Source: Kafka protocol guide, "Metadata".
VERSION = 8


class _Answer(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = METADATA
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("operations", Int32),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = METADATA
    API_VERSION = VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Ask(Request[_Question]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = METADATA

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_Question]) -> Any:
        return request_struct_class(self._topics, False, False, True)


async def require_rights(settings: Settings, topics: Mapping[str, Collection[str]]) -> None:
    """Check that we may do with the topics what we have to, and join our group.

    Args:
        settings: Say how the broker is reached, and name the group.
        topics: Each with what is needed of it: ``Read``, ``Write``. One that does not exist
            lacks nothing where we could see it.

    Raises:
        ConfigurationError: A right is missing; all of them are named.
        KafkaError: No broker answered.
    """
    connection = await _connected(settings)
    try:
        found = []
        low, high = connection._versions.get(METADATA, (0, 0))
        # Asked for none, a broker may tell of all that it has.
        if topics and low <= VERSION <= high:
            answer = await connection.send(_Ask(list(topics)))
            found = [
                # Not even shown to us, and perhaps there.
                (name, 0 if code == TopicAuthorizationFailedError.errno else operations)
                for code, name, _, _, operations in answer.topics
            ]
        group = await connection.send(FindCoordinatorRequest(settings.app_id, 0))
    finally:
        connection.close()
    missing = [
        f"{right} on the topic {name}"
        for name, operations in found
        for right in topics[name]
        # The lowest number says that the broker does not tell.
        if operations != -(2**31) and not operations & BITS[right]
    ]
    if group.error_code == GroupAuthorizationFailedError.errno:
        missing.append(f"Read on the group {settings.app_id}")
    if missing:
        user = settings.kafka_sasl_username or "the user"
        raise ConfigurationError(f"Kafka does not grant {user}: {', '.join(missing)}")


async def _connected(settings: Settings) -> AIOKafkaConnection:
    for address in settings.brokers:
        try:
            return await create_conn(*host_and_port(address), **connection_options(settings))
        except (KafkaError, OSError) as error:
            failure = error
    raise KafkaConnectionError(f"none of {settings.brokers} answers") from failure
