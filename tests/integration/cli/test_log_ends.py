"""Ends of logs on the embedded broker, whose own answer leaves out most of the last batch."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.cli import main
from streamapp.cli.kafka import reading
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.log_ends import log_ends, records_to_end
from streamapp.streaming.flows.first_offsets import FirstOffsets
from streamapp.streaming.log_place import LogPlace
from streamapp.streaming.tables.changelog_reader import RECORDS_AT_ONCE, ChangelogReader
from streamapp.streaming.tables.recovery import PositionRecovery
from streamapp.streaming.tables.spend import SpendTopic
from streamapp.streaming.window.partition_state import Progress

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]

TOPIC, SPEND = "llm.responses", "llm.spend"
#: One batch, larger than what a reader takes at once.
RECORDS = RECORDS_AT_ONCE + 50


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker without topics."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
async def settings(broker: EmbeddedBroker) -> Settings:
    """A topic of two partitions, the second one empty, and one of sums: a batch on each."""
    bootstrap = broker.url.removeprefix("kafka://")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    if TOPIC not in await admin.list_topics():
        await admin.create_topics([NewTopic(TOPIC, 2, 1), NewTopic(SPEND, 1, 1)])
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for topic in (TOPIC, SPEND):
                batch = producer.create_batch()
                for n in range(RECORDS):
                    value = json.dumps({"id": str(n)}).encode()
                    batch.append(key=None, value=value, timestamp=None)
                await (await producer.send_batch(batch, topic, partition=0))
    await admin.close()
    return Settings(_env_file=None, broker=broker.url)


async def test_end_is_behind_the_last_record_of_the_last_batch(settings: Settings) -> None:
    """Also where another partition holds nothing."""
    places = [TopicPartition(TOPIC, n) for n in range(2)]
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker.removeprefix("kafka://"))
    await consumer.start()
    try:
        ends = await log_ends(consumer, places)
    finally:
        await consumer.stop()

    assert ends == dict(zip(places, (RECORDS, 0), strict=True))


async def test_log_is_read_to_its_end_whatever_a_reader_takes_at_once(settings: Settings) -> None:
    """All of the last batch, and none of it again; another log under the same name from 0 on."""
    place = TopicPartition(TOPIC, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.broker.removeprefix("kafka://"), max_poll_records=20
    ) as consumer:
        consumer.assign([place])
        consumer.seek(place, 0)
        whole = [record.offset async for record in records_to_end(consumer, place)]
        again = [record.offset async for record in records_to_end(consumer, place)]
        consumer.seek(place, RECORDS + 1)
        anew = [record.offset async for record in records_to_end(consumer, place)]

    assert (whole, again, anew) == (list(range(RECORDS)), [], whole)


async def test_sums_are_read_on_from_behind_the_last_batch(settings: Settings) -> None:
    """The next reading begins where this one ended."""
    taken: list[bytes | None] = []

    end = await SpendTopic(settings).read(0, lambda key, value: taken.append(value))

    assert (end, len(taken)) == (RECORDS, RECORDS)


async def test_reading_from_now_on_begins_behind_all_that_is_there(settings: Settings) -> None:
    """No record of the last batch is shown as a new one."""
    async with reading(settings, [TOPIC], from_beginning=False) as consumer:
        assert await consumer.position(TopicPartition(TOPIC, 0)) == RECORDS


async def test_changelog_is_read_whole_and_known_where_it_was_read(settings: Settings) -> None:
    """Neither the rest of a batch is left out, nor is a known changelog taken for a new one."""
    taken, anew = list[int](), list[int]()
    reader = ChangelogReader(settings, TOPIC)

    with capture_logs():
        end = await reader.read(
            {0: LogPlace(0)},
            lambda partition, offset, key, value: taken.append(offset),
            on_anew=anew.append,
        )
        again = await reader.read(end, lambda *record: taken.append(-1), on_anew=anew.append)

    assert taken == list(range(RECORDS))
    assert end == again
    assert end[0].offset == RECORDS
    assert not anew


async def test_a_worker_that_read_the_last_batch_goes_on_at_a_rebalance(settings: Settings) -> None:
    """Faust ends one that read further than there is, by the broker's answer."""
    tp = TP(TOPIC, 0)
    recovery = PositionRecovery.__new__(PositionRecovery)
    recovery.app = cast(Any, SimpleNamespace(settings=settings))
    recovery.tp_to_table, recovery.active_highwaters = {}, Counter()
    recovery.log = cast(Any, SimpleNamespace(info=lambda *args: None))
    read = Counter({tp: RECORDS - 1})

    async with AIOKafkaConsumer(
        bootstrap_servers=settings.broker.removeprefix("kafka://")
    ) as consumer:
        answers = cast(
            Any,
            SimpleNamespace(
                highwaters=lambda *tps: consumer.end_offsets([TopicPartition(*tp) for tp in tps]),
                earliest_offsets=lambda *tps: consumer.beginning_offsets(
                    [TopicPartition(*tp) for tp in tps]
                ),
            ),
        )
        await recovery._build_highwaters(answers, {tp}, recovery.active_highwaters, "active")
        told = recovery.active_highwaters[tp]
        await recovery._build_offsets(answers, {tp}, read, "active")

    assert told < RECORDS - 1
    assert read[tp] == recovery.active_highwaters[tp] == RECORDS - 1


class NewFlow(FirstOffsets):
    """The consumer of a group that has committed nothing; what it commits is kept."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self.app = cast(
            Any,
            SimpleNamespace(settings=settings, from_latest={TOPIC}, consumer_generation_id=1),
        )
        self.cluster = SimpleNamespace(partitions_for_topic=lambda topic: range(partitions))
        self._thread = cast(Any, self)
        self._beginning = asyncio.Lock()
        self.committed: dict[TP, int] = {}
        self.read_of: dict[TP, bytes] = {}
        self.made_anew: dict[TP, bytes] = {}

    async def stored(self, partitions: Collection[TP]) -> Mapping[TP, Progress]:
        return {}

    async def commit_first(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        self.committed |= offsets
        return offsets


async def test_a_new_flow_begins_behind_the_last_batch(settings: Settings) -> None:
    """No record that was there before it is answered, and paid."""
    places = {TP(TOPIC, n) for n in range(2)}
    flow = NewFlow(settings, len(places))

    begins = await flow._begin(TOPIC, places, iter(range(1)))

    assert begins == flow.committed == {TP(TOPIC, 0): RECORDS, TP(TOPIC, 1): 0}


def test_tail_prints_all_that_is_there(settings: Settings) -> None:
    """With --exit the last batch is printed as well."""
    result = CliRunner().invoke(
        main, ["tail", "responses", "--exit", "--json"], env={"STREAMAPP_BROKER": settings.broker}
    )

    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [
        str(n) for n in range(RECORDS)
    ]
