"""The worker's producer, where a topic has grown since it looked."""

import asyncio
from typing import Any

import faust
import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from streamapp.streaming.delivery.producer import PartitionMissing, Producer


class Client:
    """A client of aiokafka that knows more partitions once it looked; its own metadata, too."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.known = {0}
        self._is_away = is_away
        self.client = self.cluster = self

    def partitions_for_topic(self, topic: str) -> set[int]:
        return self.known

    async def force_metadata_update(self) -> bool:
        if not self._is_away:
            self.known.add(5)
        return not self._is_away

    async def _wait_on_metadata(self, topic: str) -> None:
        """Know the topic."""

    async def send(
        self,
        topic: str,
        value: Any,
        key: Any = None,
        partition: int = 0,
        timestamp_ms: Any = None,
        headers: Any = None,
    ) -> Any:
        self.taken = (value, key, timestamp_ms, headers)
        return self._sent(topic, self._partition(topic, partition))

    def create_batch(self) -> "Client":
        return self

    def append(self, **fields: Any) -> object:
        return fields

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        return self._sent(topic, partition)

    def _partition(self, topic: str, partition: int, *others: Any) -> int:
        assert partition in self.known, "Unrecognized partition"
        return partition

    def _sent(self, topic: str, partition: int) -> "asyncio.Future[str]":
        delivery: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        delivery.set_result(f"{topic}-{partition}")
        return delivery


class Started(Producer):
    """One whose client is given."""

    def __init__(self, client: Client) -> None:
        super().__init__(faust.App("t", broker="kafka://127.0.0.1:1").transport)
        self._given = client

    def _ensure_producer(self) -> Any:
        return self._given


@pytest.mark.parametrize("name", ["put", "send", "send_alone"])
async def test_an_unknown_partition_is_looked_for_and_tried_again(name: str) -> None:
    """The client's assertion would end the worker; the error that is raised is waited out."""
    send = getattr(Started(Client()), name)

    with pytest.raises(UnknownTopicOrPartitionError):
        await send("t", None, b"v", 5, None, None)

    assert await (await send("t", None, b"v", 5, None, None)) == "t-5"


@pytest.mark.parametrize("name", ["put", "send_alone"])
async def test_a_partition_that_is_no_more_is_told_apart(name: str) -> None:
    """A topic that was made anew with fewer partitions needs somebody who knows that."""
    send = getattr(Started(Client()), name)

    with pytest.raises(PartitionMissing):
        await send("t", None, b"v", 7, None, None)


@pytest.mark.parametrize("name", ["put", "send_alone"])
async def test_nobody_says_that_a_partition_is_no_more_while_no_broker_answers(name: str) -> None:
    """What the client knew before tells nothing of a topic that has grown: it is an outage."""
    send = getattr(Started(Client(is_away=True)), name)

    with pytest.raises(UnknownTopicOrPartitionError) as raised:
        await send("t", None, b"v", 5, None, None)

    assert type(raised.value) is UnknownTopicOrPartitionError


@pytest.mark.parametrize(
    ("record", "taken"),
    [
        pytest.param(
            (b"k", b"v", 0, 1.5, {"a": b"1"}), (b"v", b"k", 1500, [("a", b"1")]), id="of its own"
        ),
        pytest.param(
            (None, b"v", 0, None, [("b", b"2")]), (b"v", None, None, [("b", b"2")]), id="of now"
        ),
    ],
)
async def test_a_record_comes_to_the_client_as_it_was_given(
    record: tuple[Any, ...], taken: tuple[Any, ...]
) -> None:
    """Past Faust's own way nothing of it is lost: key, time in milliseconds, headers as pairs."""
    client = Client()

    await Started(client).put("t", *record)

    assert client.taken == taken
