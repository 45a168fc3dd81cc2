"""Records on their way to the topic, and what this worker knows of an id."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP, RecordMetadata

from streamapp.errors import DeliveryFailed, TooLarge
from streamapp.llm.caller import CALLER
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.delivery.request_status import PartitionOffset, Status
from streamapp.streaming.delivery.taken_ids import SLACK, TakenIds
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.partition_state import PartitionState
from streamapp.streaming.window.taken_record import TakenRecord
from streamapp.streaming.window.window import Window
from tests.unit.streaming.fake_broker import FakeEvent, FakeMessage

REQUESTS = TP("llm.requests", 3)


class FakeWindow:
    """What a window has taken of one partition, from offset 6 on."""

    def __init__(self) -> None:
        self.partitions = {REQUESTS: PartitionState(REQUESTS, 6)}

    def take(self, *values: bytes) -> list[TakenRecord]:
        """Take records, in order."""
        partition, taken = self.partitions[REQUESTS], []
        for value in values:
            event = FakeEvent(FakeMessage(REQUESTS, partition.expected, None, 1, value))
            taken.append(TakenRecord(event, partition, Lease(1), None, 0.0))
            partition.append(taken[-1])
        return taken


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


async def test_record_tells_which_key_has_sent_it(world: World) -> None:
    """The name of the HTTP key travels in a header, and is told with what the record costs."""
    CALLER.set("shop")

    await world.requests.post(b"{}", id="a", key=b"k")

    assert world.producer.sent[0][5] == [("streamapp-api-key", b"shop")]


async def test_accepted_id_is_pending_until_its_partition_is_past_it(world: World) -> None:
    """Once committed past it and not in the ledger, it is forgotten, not pending for ever."""
    await world.requests.post(b"{}", id="a", key=b"k")
    before = world.requests.known("a")
    world.committed = {0: 1}

    assert (before.status, before.place) == (Status.PENDING, PartitionOffset(0, 0))
    assert world.requests.known("a").status is Status.UNKNOWN


async def test_pending_record_is_told_by_its_content(world: World) -> None:
    """One that was accepted, and one that is taken: another record of the id is known at once."""
    await world.requests.post(b'{"id":"a"}', id="a", key=b"k")
    world.window.take(b'{"id":"b"}')

    assert world.requests.known("a").digest == digest(b'{"id":"a"}')
    assert world.requests.known("b").digest == digest(b'{"id":"b"}')


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
    world.window.take('{"id":"ä\u2028"}'.encode(), b'{"id": "a", "x": "b"}')

    assert world.requests.known(id).status is Status.PENDING
    assert world.requests.known("b").status is Status.UNKNOWN


def test_record_is_pending_until_it_is_finished(world: World) -> None:
    """Of two records with an id one may be done, and a new generation has its own."""
    first, second = world.window.take(b'{"id": "a"}', b'{"id": "a"}')
    assert world.requests.known("a").status is Status.PENDING

    first.finish()
    assert world.requests.known("a").status is Status.PENDING
    assert world.requests.known("llm.requests-3-6").status is Status.UNKNOWN
    second.finish()
    assert world.requests.known("a").status is Status.UNKNOWN

    world.window.take(b'{"id": "b"}')
    assert world.requests.known("b").status is Status.PENDING
    world.window.partitions = {REQUESTS: PartitionState(REQUESTS, 6)}
    assert world.requests.known("b").status is Status.UNKNOWN


def test_each_record_is_read_once_however_often_one_is_asked_after(world: World) -> None:
    """A look-up costs what was taken since the last one, and finished records leave no trace."""
    ids = TakenIds("llm.requests", cast(Window, world.window))
    for number in range(3 * SLACK):
        [record] = world.window.take(b'{"id": "r-%d"}' % number)
        assert ids.get(f"r-{number}") is not None
        record.finish()
    assert len(ids) <= SLACK + 2

    waiting = world.window.take(*(b'{"id": "w-%d"}' % number for number in range(2_000)))
    assert ids.get("w-0") is not None
    for record in waiting:
        record.event.message.value = None  # would not be found any more, were it read again
    assert all(ids.get(f"w-{number}") is not None for number in range(2_000))


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
