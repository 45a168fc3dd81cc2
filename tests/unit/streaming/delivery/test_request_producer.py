"""Records on their way to the topic, and what this worker knows of an id."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP, RecordMetadata

from streamapp.errors import DeliveryFailed, TooLarge
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.delivery.request_status import PartitionOffset, Status
from streamapp.streaming.window.window import Window

REQUESTS = TP("llm.requests", 3)


@dataclass
class Taken:
    value: bytes
    tp: TP = REQUESTS
    offset: int = 7


class FakeWindow:
    def __init__(self) -> None:
        self.taken: list[Taken] = []

    def messages(self) -> Iterator[Taken]:
        return iter(self.taken)


class FakeLedger:
    def __init__(self) -> None:
        self.entries: dict[str, LedgerEntry] = {}

    def lookup(self, id: str) -> LedgerEntry | None:
        return self.entries.get(id)


class FakeProducer:
    """Writes each record at the next offset of its partition, 0 where a key decides."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None

    async def send(self, *record: Any) -> Awaitable[RecordMetadata]:
        self.sent.append(record)
        delivery = asyncio.get_running_loop().create_future()
        if self.failure:
            delivery.set_exception(self.failure)
        else:
            tp = TP(record[0], record[3] or 0)
            delivery.set_result(
                RecordMetadata(tp.topic, tp.partition, tp, len(self.sent) - 1, None, 0)
            )
        return delivery


class World:
    def __init__(self) -> None:
        self.window, self.ledger, self.producer = FakeWindow(), FakeLedger(), FakeProducer()
        self.committed: Mapping[int, int] = {}
        self.requests = RequestProducer(
            "llm.requests",
            self.producer.send,
            partitions=4,
            ledger=cast(Ledger, self.ledger),
            window=cast(Window, self.window),
            committed=lambda: self.committed,
        )


@pytest.fixture
def world() -> World:
    """A producer among fakes."""
    return World()


async def test_same_id_without_a_key_goes_to_one_partition(world: World) -> None:
    """A repeated record must come to the worker whose ledger knows it."""
    for id in ("a", "b", "a", "b"):
        await world.requests.post(b"{}", id=id, key=None)

    first, second, *again = [record[3] for record in world.producer.sent]
    assert again == [first, second]


async def test_key_decides_the_partition(world: World) -> None:
    """A record with a key goes where every producer's records of that key go."""
    await world.requests.post(b"{}", id="a", key=b"k")

    assert world.producer.sent == [("llm.requests", b"k", b"{}", None, None, None)]


async def test_accepted_id_is_pending_until_its_partition_is_past_it(world: World) -> None:
    """Once committed past it and not in the ledger, it is forgotten, not pending for ever."""
    await world.requests.post(b"{}", id="a", key=b"k")
    before = world.requests.known("a")
    world.committed = {0: 1}

    assert (before.status, before.place) == (Status.PENDING, PartitionOffset(0, 0))
    assert world.requests.known("a").status is Status.UNKNOWN


async def test_record_the_broker_did_not_take_is_not_pending(world: World) -> None:
    """The caller is told, and may send it again."""
    world.producer.failure = KafkaTimeoutError()

    with pytest.raises(DeliveryFailed):
        await world.requests.post(b"{}", id="a", key=None)

    assert world.requests.known("a").status is Status.UNKNOWN


async def test_record_that_no_topic_carries_is_too_large(world: World) -> None:
    """It is refused before the broker sees it."""
    with pytest.raises(TooLarge):
        await world.requests.post(b"x" * 1_000_000, id="a", key=None)

    assert world.producer.sent == []


@pytest.mark.parametrize("id", ["a", "ä\u2028", "llm.requests-3-7"])
def test_taken_record_is_pending(world: World, id: str) -> None:
    """A record in the window is found by its own id, or by its place."""
    world.window.taken = [Taken('{"id":"ä\u2028"}'.encode()), Taken(b'{"id": "a", "x": "b"}')]

    assert world.requests.known(id).status is Status.PENDING
    assert world.requests.known("b").status is Status.UNKNOWN


def entry(**outcome: Any) -> LedgerEntry:
    return LedgerEntry(digest="d", partition=0, offset=0, expires_at=1e12, **outcome)


async def test_finished_record_is_told_from_the_ledger(world: World) -> None:
    """An answer comes as it was emitted, a dead letter with its kind."""
    world.ledger.entries = {
        "a": entry(answer=b"{...}"),
        "b": entry(dead_letter={"streamapp.error.kind": "expired"}),
    }

    answered, dead = world.requests.known("a"), world.requests.known("b")

    assert (answered.status, answered.body) == (Status.OK, b"{...}")
    assert (dead.status, dead.kind) == (Status.DEAD, "expired")


async def test_dead_record_that_is_sent_again_is_pending(world: World) -> None:
    """A later record with a dead one's id runs: its outcome is yet to come."""
    world.ledger.entries = {"a": entry(dead_letter={"streamapp.error.kind": "expired"})}
    await world.requests.post(b"{}", id="b", key=b"k")
    await world.requests.post(b"{}", id="a", key=b"k")

    assert world.requests.known("a").status is Status.PENDING
