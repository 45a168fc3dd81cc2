"""The error codes of a group's coordinator: what each is called, and what to change.

aiokafka has no error for some of them, and what it makes of those has lost the number.

Source: ``Errors`` of Apache Kafka 2.8 to 4.1, and the supported errors that its messages list.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.errors import BrokerResponseError, KafkaError, UnknownError, for_code, kafka_errors

_OTHERS = (
    "another program is in the consumer group: end it or give it a group of its own, or set"
    " another STREAMAPP_APP_ID here"
)
_NEW_PROTOCOL = f"with group.protocol=consumer {_OTHERS}"

#: Names of codes that aiokafka does not know, as it would form them.
NAMES: Mapping[int, str] = {
    81: "GroupMaxSizeReached",
    82: "FencedInstanceId",
    100: "UnknownTopicId",
    110: "FencedMemberEpoch",
    113: "StaleMemberEpoch",
}

#: What to change, by the code.
HINTS: Mapping[int, str] = {
    -1: "see the broker's log: most often the group does not fit into a record of"
    " __consumer_offsets, as its max.message.bytes bounds it; raise that, or run fewer workers",
    23: _OTHERS,
    24: "the broker does not accept the name: set another STREAMAPP_APP_ID",
    26: "set STREAMAPP_SESSION_TIMEOUT_S within the broker's group.min.session.timeout.ms and"
    " group.max.session.timeout.ms",
    29: "grant the rights Describe and Read on the topic",
    30: "grant the right Read on the group",
    81: "the group has as many members as the broker's group.max.size allows: raise it on every"
    " broker, or run fewer workers",
    82: f"under the same group.instance.id {_OTHERS}",
    100: "the topic is gone, or was made anew: what was finished of it is not committed",
    110: _NEW_PROTOCOL,
    113: _NEW_PROTOCOL,
}


class UnknownCode(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """An answer with a code that aiokafka has no error for."""

    def __init__(self, code: int) -> None:
        super().__init__(name_of(code))
        self.code = code


def name_of(code: int) -> str:
    """Return what a code is called; one that nobody here knows, by its number."""
    if code in kafka_errors:
        return for_code(code).__name__  # type: ignore[no-any-return]  # a class
    return NAMES.get(code, f"{UnknownError.__name__} {code}")


def code_of(error: Exception) -> int:
    """Return the code that an error stands for; 0 where it stands for none."""
    if isinstance(error, UnknownCode):
        return error.code
    return error.errno if isinstance(error, BrokerResponseError) else 0


def require_known(response: Any) -> None:
    """Look at the codes of the partitions of a response.

    Raises:
        UnknownCode: aiokafka would make an error without its number of one of them.
    """
    for _, partitions in response.topics:
        for _, code in partitions:
            if code not in kafka_errors:
                raise UnknownCode(code)
