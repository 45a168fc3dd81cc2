"""The question for the end of an epoch is on the wire what Kafka's guide says of version 2."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, LeaderNotAvailableError
from faust.types import TP

from streamapp.streaming.protocol.leader_epochs import (
    EpochEndRequest,
    EpochEndResponse,
    cut_at,
    note_epochs,
)
from streamapp.streaming.protocol.topic_ids import TopicIdsRequest, marked_ids

T0 = TP("t", 0)
ID = bytes(range(16))


def topic_of(epoch: int, *, id: bytes = ID) -> Any:
    """Return the leader's answer of the topic."""
    partition: tuple[Any, ...] = (0, T0.partition, 1, epoch, [1], [1], [], {})
    topic: tuple[Any, ...] = (0, T0.topic, id, False, [partition], 0, {})
    return SimpleNamespace(cluster_id="c", topics=[topic])


MARKED = marked_ids(topic_of(0))[T0.topic]


class Client:
    """A client of one scripted broker, which leads the partition."""

    def __init__(self, topic: Any, *end: int) -> None:
        self.topic = topic
        self.end = end
        self.cluster = SimpleNamespace(leader_for_partition={T0: 1}.get)

    async def send(self, node: int, request: Any) -> Any:
        if isinstance(request, TopicIdsRequest):
            return self.topic
        if not self.end:
            raise IncompatibleBrokerVersion
        code, told, offset = self.end
        return SimpleNamespace(topics=[(T0.topic, [(code, T0.partition, told, offset)])])


def test_request_is_version_2() -> None:
    """The leader's own epoch comes before the one that is asked for."""
    request = EpochEndRequest(T0, 3, current=5).prepare({23: (2, 4)})

    assert request.encode() == (
        b"\0\0\0\1" + b"\0\1t" + b"\0\0\0\1" + bytes(4) + b"\0\0\0\5" + b"\0\0\0\3"
    )
    assert request.build_request_header(5, "c").encode() == b"\0\x17\0\2\0\0\0\5\0\1c"


def test_response_is_read() -> None:
    """Error, partition, epoch, and the epoch's end."""
    told = b"\0\0" + bytes(4) + b"\0\0\0\3" + bytes(7) + b"\x14"

    response = EpochEndResponse.decode(bytes(4) + b"\0\0\0\1\0\1t\0\0\0\1" + told)

    assert response.topics == [("t", [(0, 0, 3, 20)])]


def test_broker_of_another_version_is_not_asked() -> None:
    """The error is one of Kafka's, which closes no connection."""
    with pytest.raises(IncompatibleBrokerVersion):
        EpochEndRequest(T0, 3, current=5).prepare({23: (0, 1)})


def test_epoch_of_what_was_fetched_is_noted() -> None:
    """It stands behind offset and length of a batch; an answer without records tells none."""
    epochs = {TP("t", 1): 4}
    batch, older = (bytes(8) + b"\0\0\0\x31" + b"\0\0\0\7" + bytes([of]) for of in (2, 1))

    answers = [(n, 0, 9, 9, 0, None, -1, data) for n, data in enumerate([batch, b"", None, older])]
    note_epochs(SimpleNamespace(topics=[("t", answers)]), epochs)

    assert epochs == {T0: 7, TP("t", 1): 4}


async def test_log_was_cut_off_where_the_epoch_ends_that_was_read() -> None:
    """A later leader wrote what stands behind that."""
    assert await cut_at(Client(topic_of(5), 0, 3, 20), T0, 3, MARKED) == 20


@pytest.mark.parametrize(
    ("epoch", "topic_id", "client"),
    [
        (None, MARKED, Client(topic_of(5), 0, 3, 20)),
        (3, b"", Client(topic_of(5), 0, 3, 20)),
        (3, MARKED, Client(topic_of(5, id=bytes(16)), 0, 3, 20)),
        (3, MARKED, Client(topic_of(3), 0, 3, 20)),
        (3, MARKED, Client(topic_of(5), 29, 3, 20)),
        (3, MARKED, Client(topic_of(5), 0, -1, -1)),
        (3, MARKED, Client(topic_of(5))),
    ],
    ids=[
        "unread",
        "no id",
        "another topic",
        "same leader",
        "refused",
        "empty log",
        "older broker",
    ],
)
async def test_place_that_is_not_sure_is_not_told(
    epoch: int | None, topic_id: bytes, client: Client
) -> None:
    """New records may stand below it."""
    assert await cut_at(client, T0, epoch, topic_id) is None


async def test_leader_that_changes_is_asked_again() -> None:
    """Nothing is begun meanwhile: the next look tells."""
    with pytest.raises(LeaderNotAvailableError):
        await cut_at(Client(topic_of(5), 74, -1, -1), T0, 3, MARKED)
    with pytest.raises(LeaderNotAvailableError):
        await cut_at(Client(topic_of(5), 0, 3, 20), TP("t", 1), 3, MARKED)
