"""The question for topics' ids is on the wire what Kafka's protocol guide says of version 10."""

import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError

from streamapp.streaming.protocol.topic_ids import (
    TopicIdsRequest,
    TopicIdsResponse,
    id_of,
    topic_ids,
)

KNOWN = {3: (0, 12)}
ID, OTHER_ID = bytes(range(16)), bytes(range(1, 17))
MARK = zlib.crc32(b"c").to_bytes(4)


def answer(**ids: bytes) -> bytes:
    """Return a response as a broker sends it, by the protocol guide; `gone` has an error."""
    topics = b"".join(
        (b"\0\3" if name == "gone" else b"\0\0")
        + bytes([len(name) + 1])
        + name.encode()
        + id
        + b"\0"  # is_internal
        # One partition: error, index, leader, leader epoch, replicas, isr, offline, tags.
        + b"\2" + b"\0\0" + bytes(4) + b"\0\0\0\1" + bytes(4)
        + b"\2\0\0\0\1" + b"\2\0\0\0\1" + b"\1" + b"\0"
        + b"\x80\0\0\0" + b"\0"
        for name, id in ids.items()
    )  # fmt: skip
    brokers = b"\2" + b"\0\0\0\1" + b"\2h" + b"\0\0\x23\x84" + b"\0" + b"\0"
    head = bytes(4) + brokers + b"\2c" + b"\0\0\0\1"
    return head + bytes([len(ids) + 1]) + topics + b"\x80\0\0\0" + b"\0"


class Client:
    """A client of scripted brokers."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = answers
        brokers = [SimpleNamespace(nodeId=node) for node in range(len(answers))]
        self.cluster = SimpleNamespace(brokers=lambda: brokers)

    def get_random_node(self) -> int | None:
        return 0 if self.answers else None

    async def send(self, node: int, request: Any) -> Any:
        told = self.answers[node]
        if isinstance(told, Exception):
            raise told
        return TopicIdsResponse.decode(told)


def test_request_is_version_10() -> None:
    """Topics by name with no id, no topic made for the question, no rights asked for."""
    request = TopicIdsRequest(["t", "ab"]).prepare(KNOWN)

    assert request.encode() == (
        b"\3" + bytes(16) + b"\3ab" + b"\0" + bytes(16) + b"\2t" + b"\0" + b"\0\0\0" + b"\0"
    )
    header = request.build_request_header(5, "c").encode()
    assert header == b"\0\3" + b"\0\x0a" + b"\0\0\0\5" + b"\0\1c" + b"\0"


@pytest.mark.parametrize("versions", [{}, {3: (0, 9)}, {3: (11, 13)}], ids=str)
def test_broker_of_another_version_is_not_asked(versions: dict[int, tuple[int, int]]) -> None:
    """The error is one of Kafka's, which closes no connection."""
    with pytest.raises(IncompatibleBrokerVersion):
        TopicIdsRequest(["t"]).prepare(versions)


async def test_ids_are_read() -> None:
    """With their cluster's mark; a topic that is gone has none, nor one of an older broker."""
    told = answer(t=ID, gone=bytes(16), zero=bytes(16))

    assert await topic_ids(Client(told), ["t", "gone", "zero"]) == {"t": ID + MARK}


async def test_brokers_that_do_not_agree_tell_nothing() -> None:
    """One that is away is passed over."""
    away, old, new = KafkaConnectionError(), answer(t=OTHER_ID), answer(t=ID)

    assert await topic_ids(Client(new, old), ["t"], every_broker=True) == {}
    assert await topic_ids(Client(away, new, new), ["t"], every_broker=True) == {"t": ID + MARK}
    assert await topic_ids(Client(away), ["t"]) == {}
    assert await topic_ids(Client(), ["t"]) == {}


@pytest.mark.parametrize(
    "answers",
    [(KafkaConnectionError(),), (answer(t=ID), answer(t=OTHER_ID)), (answer(gone=bytes(16)),)],
    ids=["away", "behind", "gone"],
)
async def test_id_that_is_known_is_told_for_sure_or_asked_for_again(answers: Any) -> None:
    """Silence is no sign that a log is the one that was read, nor is a broker that is behind."""
    with pytest.raises(KafkaConnectionError):
        await id_of(Client(*answers), "t", is_known=True)

    assert await id_of(Client(answer(t=ID), answer(t=ID)), "t", is_known=True) == ID + MARK


async def test_id_that_is_not_known_may_stay_so() -> None:
    """Brokers before Apache Kafka 2.8 tell none."""
    assert await id_of(Client(answer(t=bytes(16))), "t", is_known=False) == b""
    assert await id_of(Client(answer(t=ID)), "t", is_known=False) == ID + MARK
