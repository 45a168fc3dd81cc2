"""The table of what was spent, between Faust's habits, the producer's troubles and the sums."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from structlog.testing import capture_logs

from streamapp.llm.costs.spend import Amounts, Spend
from streamapp.streaming.tables.spend import SpendTable

ACCOUNT = ("2030-01-02", "all")
ONE = Amounts(records=1, tokens=10, usd=Decimal("0.1"))


class Topic:
    """The topic as the producer and our own reading see it; both can fail."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.reads: list[int] = []
        self.is_down = False

    async def send(self, topic: str, key: bytes, value: bytes, *rest: Any) -> asyncio.Future[None]:
        assert (topic, rest) == ("llm.spend", (0, None, None))
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_down:
            delivery.set_exception(KafkaTimeoutError())
        else:
            self.records.append((key, value))
            delivery.set_result(None)
        return delivery

    async def read(self, start: int, take: Callable[[bytes, bytes | None], None]) -> int:
        if self.is_down:
            raise KafkaConnectionError
        self.reads.append(start)
        for key, value in self.records[start:]:
            take(key, value)
        return len(self.records)


class Worker:
    """A table on an app that never starts."""

    def __init__(self, name: str, topic: Topic) -> None:
        self.topic = topic
        self.spend = Spend(name)
        self.app = faust.App("t", broker="kafka://127.0.0.1:1", env={})
        self.app.producer = cast(Any, topic)
        self.table = SpendTable(self.app, topic="llm.spend", spend=self.spend, read=topic.read)

    @property
    def records(self) -> int:
        return self.spend.total(ACCOUNT).records

    async def spends(self) -> None:
        self.spend.add(ACCOUNT, ONE)
        await self.table.append()

    async def hears(self, *offsets: int) -> None:
        for offset in offsets:
            key, value = self.topic.records[offset]
            message = SimpleNamespace(key=key, value=value, offset=offset)
            await self.table.on_changelog_event(cast(Any, SimpleNamespace(message=message)))

    async def rebalances(self) -> None:
        self.app.on_rebalance_start()
        await self.table.look_again()
        self.app.rebalancing = False


@pytest.fixture
async def pair() -> tuple[Worker, Worker, Topic]:
    """Two workers and their topic."""
    topic = Topic()
    return Worker("a", topic), Worker("b", topic), topic


Pair = tuple[Worker, Worker, Topic]


async def test_the_topic_is_the_changelog(pair: Pair) -> None:
    """Every worker has all of it: global, one partition, one event at a time."""
    table = pair[0].table

    assert table.changelog_topic_name == "llm.spend"
    assert table.is_global
    assert (table.partitions, table.recovery_buffer_size, table.standby_buffer_size) == (1, 1, 1)


async def test_workers_hear_of_each_other(pair: Pair) -> None:
    """What one has spent is in the other's total once it has read it, and once only."""
    a, b, _ = pair
    await a.spends()
    await b.spends()
    await a.spends()

    for worker in (a, b):
        await worker.hears(0, 1, 2, 0, 1, 2)

    assert (a.records, b.records) == (3, 3)


async def test_what_could_not_be_told_is_told_again(pair: Pair) -> None:
    """An outage keeps sums back and loses none; the log says it without their values."""
    a, b, topic = pair
    topic.is_down = True
    with capture_logs() as logs:
        await a.spends()
    assert [line["event"] for line in logs] == ["spend.not_told"]
    assert topic.records == []

    topic.is_down = False
    await a.table.append()
    await b.hears(0)

    assert b.records == 1


async def test_what_faust_skips_in_a_rebalance_is_read_again(pair: Pair) -> None:
    """A sum that nobody will tell again is not lost with the event that Faust dropped."""
    a, b, _ = pair
    await a.spends()
    await b.hears(0)
    await a.spends()

    await b.rebalances()
    assert b.records == 1
    await b.table.look_again()

    assert b.records == 2


async def test_topic_made_anew_is_told_the_own_sums_and_read_whole(pair: Pair) -> None:
    """Nothing is counted twice, and those who start then know what was spent."""
    a, b, topic = pair
    await a.spends()
    await a.spends()
    await b.hears(0, 1)
    topic.records.clear()

    for worker in (a, b):
        await worker.table.begin_anew()
        await worker.table.append()
    await b.rebalances()
    await b.table.look_again()

    assert topic.reads == [0]
    assert len(topic.records) == 1
    assert (a.records, b.records) == (2, 2)


async def test_only_what_may_have_been_skipped_is_read_again(pair: Pair) -> None:
    """Between rebalances nothing is skipped, and nothing is read twice."""
    a, b, topic = pair
    for _ in range(3):
        await a.spends()
    await b.rebalances()
    await b.table.look_again()
    await a.spends()
    await b.hears(3)
    await b.table.look_again()
    await b.rebalances()
    await a.spends()
    await b.table.look_again()

    assert topic.reads == [0, 4]
    assert b.records == 5


async def test_a_broker_that_is_away_is_asked_again(pair: Pair) -> None:
    """A look that failed is made up for."""
    a, b, topic = pair
    await a.spends()
    await b.rebalances()
    topic.is_down = True
    with capture_logs() as logs:
        await b.table.look_again()
    assert [line["event"] for line in logs] == ["spend.not_read"]

    topic.is_down = False
    await b.table.look_again()

    assert b.records == 1
