"""Commits of a topic that was deleted and made anew: a take-over takes them for none."""

import asyncio
import zlib
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from streamapp.streaming.window.finished_offsets import encode
from streamapp.streaming.window.partition_state import Progress

from .fake_thread import FakeThread

T0, T1, OTHER = TP("llm.requests", 0), TP("llm.requests", 1), TP("llm.spend", 0)
MARK = zlib.crc32(b"c").to_bytes(4)
OLD, NEW = bytes([1]) * 16 + MARK, bytes([2]) * 16 + MARK
ELSEWHERE = bytes([1]) * 16 + zlib.crc32(b"another").to_bytes(4)


class Client:
    """The client of a member, its coordinator and its connections.

    Attributes:
        ids: What each broker tells of the inputs.
        stored: What the group has.
        sought: What it was sought to.
    """

    def __init__(self, *ids: bytes | None) -> None:
        self._coordinator = self._client = self
        self.ids = dict(enumerate(ids))
        self.asked: list[int] = []
        self.coordinator_id = 0
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=n) for n in self.ids]
        )
        self.stored: dict[Any, OffsetAndMetadata] = {}
        self.sought: list[tuple[Any, int]] = []
        self.assigned = {T0, T1, OTHER}
        self.generation = 4
        self._commit_lock = asyncio.Lock()

    async def ensure_coordinator_known(self) -> None: ...

    async def _do_commit_offsets(self, assignment: Any, offsets: Any) -> None:
        self.stored |= offsets

    def get_random_node(self) -> int:
        return 0

    async def send(self, node: int, request: Any) -> Any:
        self.asked.append(node)
        id = self.ids[node]
        return SimpleNamespace(
            cluster_id="c", topics=[] if id is None else [(0, T0.topic, id[:16], False)]
        )

    def assignment(self) -> set[Any]:
        return {TopicPartition(*tp) for tp in self.assigned}

    async def fetch_committed_offsets(self, partitions: list[Any]) -> Any:
        return self.stored

    def seek(self, tp: Any, offset: int) -> None:
        self.sought.append((tp, offset))

    def commit(self, tp: TP, offset: int, *finished: int, topic_id: bytes = b"") -> None:
        text = encode(offset, finished, topic_id=topic_id)
        self.stored[TopicPartition(*tp)] = OffsetAndMetadata(offset, text)


async def test_commit_of_a_topic_that_is_no_more_counts_as_none() -> None:
    """Nor is anything behind it finished; the client is sought away from it."""
    client = Client(NEW)
    client.commit(T0, 20, 22, topic_id=OLD)
    client.commit(T1, 7, topic_id=NEW)
    thread = FakeThread(client)

    assert await thread.seek() == {T0: 0, T1: 7, OTHER: None}

    assert sorted(client.sought) == [(T0, 0), (T1, 7)]
    assert thread.committed.keys() == {T1}
    assert (thread.made_anew, thread.read_of) == ({T0: NEW}, {T0: NEW, T1: NEW})


async def test_first_commit_replaces_that_of_a_topic_that_is_no_more() -> None:
    """And says of which topic it is; what is of today's topic stays."""
    client = Client(NEW)
    client.commit(T0, 20, topic_id=OLD)
    client.commit(T1, 7, topic_id=NEW)
    thread = FakeThread(client)
    await thread.seek()

    assert await thread._commit_first({T0: 0, T1: 0}) == {T0: 0, T1: 7}  # type: ignore[misc]

    assert client.stored[TopicPartition(*T0)].metadata == encode(0, (), topic_id=NEW)
    assert thread.committed[T0] == Progress(0, encode(0, (), topic_id=NEW))


async def test_it_counts_as_none_until_another_one_replaces_it() -> None:
    """Offsets are looked for more than once in a take-over."""
    client = Client(NEW)
    client.commit(T0, 20, topic_id=OLD)
    thread = FakeThread(client)
    await thread.seek()

    assert (await thread.seek())[T0] == 0
    client.commit(T0, 3, topic_id=NEW)
    assert (await thread.seek())[T0] == 3
    assert thread.committed.keys() == {T0}


async def test_commit_without_an_id_is_taken_as_it_is() -> None:
    """It is of an older version, or of a tool; its records are of the topic of now."""
    client = Client(NEW)
    client.commit(T0, 20, 22)
    thread = FakeThread(client)

    assert (await thread.seek())[T0] == 20
    assert (thread.made_anew, thread.read_of[T0]) == ({}, NEW)


async def test_id_of_a_commit_that_a_tool_has_moved_says_nothing() -> None:
    """It is of another offset: who moves the group means what it says."""
    client = Client(NEW)
    client.stored[TopicPartition(*T0)] = OffsetAndMetadata(5, encode(20, (), topic_id=OLD))
    thread = FakeThread(client)

    assert (await thread.seek())[T0] == 5


async def test_commit_that_was_copied_from_another_cluster_is_taken_as_it_is() -> None:
    """What mirrors topics copies offsets and what stands beside them; the ids are others."""
    client = Client(NEW)
    client.commit(T0, 20, 22, topic_id=ELSEWHERE)
    thread = FakeThread(client)

    assert (await thread.seek())[T0] == 20
    assert (thread.made_anew, thread.read_of[T0]) == ({}, NEW)


async def test_id_that_not_all_brokers_tell_replaces_none() -> None:
    """The commit's own is kept with its offset, and compared again while it runs."""
    client = Client(NEW, OLD)
    client.commit(T0, 20, topic_id=OLD)
    thread = FakeThread(client)

    assert (await thread.seek())[T0] == 20
    assert (thread.made_anew, thread.read_of[T0]) == ({}, OLD)


async def test_broker_that_knows_nothing_of_the_topic_is_not_the_only_one_asked() -> None:
    """One that is just made is not known to all of them yet; else the coordinator is enough."""
    thread = FakeThread(Client(None, NEW))
    await thread.seek()
    assert thread.read_of == {T0: NEW, T1: NEW}

    client = Client(NEW, NEW)
    client.coordinator_id = 1
    await FakeThread(client).seek()
    assert client.asked == [1]


async def test_brokers_that_tell_no_ids_change_nothing() -> None:
    """As the embedded one, and Apache Kafka before 2.8."""
    client = Client(None)
    client.commit(T0, 20, 22)
    thread = FakeThread(client)

    assert await thread.seek() == {T0: 20, T1: None, OTHER: None}
    assert (thread.made_anew, thread.read_of) == ({}, {T0: b"", T1: b""})


async def test_partition_that_is_kept_is_known_without_a_commit() -> None:
    """The group forgets the offsets of a topic that is deleted: what was read of it is another."""
    client = Client(OLD)
    thread = FakeThread(client)
    await thread.seek()
    client.ids = {0: NEW}

    for _ in range(2):  # as a take-over does; it is told at its end
        await thread.seek()

    assert sorted(client.sought) == [(T0, 0), (T1, 0)]
    assert thread.made_anew == {T0: NEW, T1: NEW}


async def test_it_is_known_through_generations_without_the_topic() -> None:
    """One that was overtaken has told nobody, and a leader may know the new topic late."""
    client = Client(OLD)
    thread = FakeThread(client)
    await thread.seek()
    client.ids = {0: NEW}
    await thread.seek()
    client.assigned = {OTHER}
    await thread.seek()
    client.assigned = {T0, OTHER}

    await thread.seek()

    assert thread.made_anew == {T0: NEW, T1: NEW}
    client.ids = {0: bytes([3]) * 16 + MARK}
    await thread.seek()
    assert thread.made_anew == {T0: client.ids[0], T1: NEW}


async def test_partition_that_was_away_is_known_where_there_is_no_commit() -> None:
    """There may be generations without the topic; of another worker's commit the commit says."""
    client = Client(OLD)
    thread = FakeThread(client)
    await thread.seek()
    client.assigned = {OTHER}
    await thread.seek()
    client.ids, client.assigned = {0: NEW}, {T0, T1, OTHER}
    client.commit(T1, 9)  # by another worker, whose broker takes no ids

    assert await thread.seek() == {T0: 0, T1: 9, OTHER: None}

    assert thread.made_anew == {T0: NEW}
