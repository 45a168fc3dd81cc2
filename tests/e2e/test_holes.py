"""Offsets that hold no record: the window passes them, and commits pass them too."""

import math
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import reader_ends
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: Measurements before a difference is none of the machine's.
MOST_TURNS = 4


async def test_records_between_transaction_markers_are_answered(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each transaction leaves a marker at an offset of its own; nothing waits for it for ever."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=stage.prefix
        )
        async with producer:
            for number in range(3):
                async with producer.transaction():
                    for part in range(2):
                        record = ask(f"r-{number}-{part}", partition=0)
                        await producer.send_and_wait(
                            f"{stage.prefix}.requests", record.value, key=record.key, partition=0
                        )

        worker = await stage.ready_worker()
        report = await stage.settle(6)

        assert not report.missing, report
        assert (report.repeats, report.calls) == (0, 6)
        # Six records, and all three markers: a group that is done has no lag.
        await until(lambda: _committed_is(kafka, stage.prefix, 9), 30, state=worker.tail)


@pytest.mark.parametrize(
    ("isolation", "end"), [("read_committed", 1), ("read_uncommitted", 3)], ids=["waits", "reads"]
)
async def test_an_open_transaction_lies_before_who_begins_at_the_end(
    kafka: KafkaBroker, isolation: Literal["read_committed", "read_uncommitted"], end: int
) -> None:
    """Where it is waited for: its records are written with it, and so from now on."""
    topic = f"open-{isolation}"
    await create_topics(kafka.bootstrap, topic, partitions=2)
    settings = Settings(
        _env_file=None, broker=f"kafka://{kafka.bootstrap}", kafka_isolation=isolation
    )
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as producer,
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as other,
    ):
        await other.send_and_wait(topic, b"before", partition=0)
        await producer.begin_transaction()
        for _ in range(2):
            await (await producer.send(topic, b"open", partition=0))
        ends = await reader_ends(settings, [(topic, 0), (topic, 1)])
        await producer.abort_transaction()

    assert ends == {TopicPartition(topic, 0): end, TopicPartition(topic, 1): 0}


async def test_commit_waits_for_a_slow_record_behind_a_hole(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What is sought back at a hole is committed as it finishes, also with a backlog behind it."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        slow = [{"latency_s": 600}, {"latency_s": 0}]
        behind = [ask(f"r-{n}", script=slow if n == 3 else None) for n in range(600)]
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=stage.prefix
        )
        async with producer:
            for records in ([ask("before")], behind):
                async with producer.transaction():
                    for record in records:
                        await producer.send(
                            f"{stage.prefix}.requests", record.value, key=record.key, partition=0
                        )

        worker = await stage.ready_worker()
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) == 600, 60)
        await stage.verifier.until(lambda: stage.verifier.committed.get(0, 0) >= 5, 30)
        seen = stage.verifier.turns  # ten a second; a commit is tried each second
        await stage.verifier.until(lambda: stage.verifier.turns > seen + 30, 30)
        stage.kill9(worker)
        await stage.ready_worker()
        report = await stage.settle(601)

        assert not report.faults, report


async def test_markers_do_not_slow_a_partition_down(kafka: KafkaBroker, tmp_path: Path) -> None:
    """A transaction for each record: they are answered as fast as without, and not one by one.

    Nothing is sought back, so that markers cost what they cost to fetch.
    """
    rates = {"plain": 0.0, "one by one": 0.0}
    cpu_s = {"plain": math.inf, "one by one": math.inf}
    # The best of a few measurements of half a second: another program's work only makes each worse.
    for turn in range(MOST_TURNS):
        for name, per_transaction in (("plain", 600), ("one by one", 1)):
            directory = tmp_path / f"{turn}-{per_transaction}"
            rate, spent_s = await _measured(kafka, directory, per_transaction)
            rates[name] = max(rates[name], rate)
            cpu_s[name] = min(cpu_s[name], spent_s)
        print(rates, cpu_s)  # noqa: T201
        if cpu_s["one by one"] < 1.5 * cpu_s["plain"] and rates["one by one"] > rates["plain"] / 2:
            return

    pytest.fail(f"a transaction for each record is slower: {rates}, {cpu_s}")


async def _measured(
    kafka: KafkaBroker, directory: Path, per_transaction: int, *, count: int = 600
) -> tuple[float, float]:
    """Return the records that a worker answers in a second, and the CPU seconds it takes for all.

    Args:
        kafka: The broker.
        directory: For the worker.
        per_transaction: Records in each transaction.
        count: Records; a divisor of it is ``per_transaction``.
    """
    async with Stage(kafka, directory, partitions=1, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        # Behind an open transaction nothing is read: the measure begins before the first record.
        first = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap,
            transactional_id=f"{stage.prefix}-first",
            transaction_timeout_ms=240_000,
        )
        async with first, producer_of(kafka, stage) as producer:
            await first.begin_transaction()
            await first.send_and_wait(f"{stage.prefix}.requests", ask("first").value)
            for start in range(0, count, per_transaction):
                async with producer.transaction():
                    for number in range(start, start + per_transaction):
                        record = ask(f"r-{number}")
                        await producer.send(
                            f"{stage.prefix}.requests", record.value, key=record.key
                        )
            assert not stage.calls()
            at_rest_s = worker.cpu_s
            await first.commit_transaction()
        count += 1
        await stage.verifier.all_answered(count, 120)
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) == count, 120)
        spent_s = worker.cpu_s - at_rest_s
        at = [call.at_s for call in stage.calls()]
        async with producer_of(kafka, stage) as producer:  # while it waits for each
            for number in range(20):
                async with producer.transaction():
                    record = ask(f"late-{number}")
                    await producer.send(f"{stage.prefix}.requests", record.value)
        report = await stage.settle(count + 20)

        assert not report.faults, report
        assert not worker.has_logged("log_probe.found")
        assert "streamapp_offset_gaps_total 0.0" in await metrics(worker)
    return count / (max(at) - min(at)), spent_s


def producer_of(kafka: KafkaBroker, stage: Stage) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=stage.prefix)


async def metrics(worker: WorkerProcess) -> str:
    url = f"http://127.0.0.1:{worker.port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()


async def _committed_is(kafka: KafkaBroker, prefix: str, offset: int) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(prefix)
    finally:
        await admin.close()
    return bool(offsets[TopicPartition(f"{prefix}.requests", 0)].offset == offset)
