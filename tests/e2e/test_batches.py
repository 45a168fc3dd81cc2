"""Batches as real producers write them, and some that cannot be read at all."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.stage import Record, Stage, ask
from tests.support.batches import CODECS, flip_a_bit, produce_with, segment, set_codec
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import ROOT, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_every_codec_of_kafka_is_read(kafka: KafkaBroker, tmp_path: Path) -> None:
    """What the JVM's client, librdkafka or a topic compress is answered as any other record."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        for codec in CODECS:
            records = [ask(f"{codec}-{n}", partition=n % 2) for n in range(10)]
            await produce_with(stage, records, compression_type=codec)

        await stage.ready_worker()
        report = await stage.settle(40)

        assert not report.faults, report
        assert report.calls == 40


async def test_records_of_aborted_transactions_are_not_paid(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Whoever aborted does not want the answers; those of open transactions have to wait."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        await stage.ready_worker()
        async with _transactional(stage) as producer:
            await _in_transaction(stage, producer, [ask(f"no-{n}") for n in range(5)], abort=True)
            await _in_transaction(stage, producer, [ask(f"yes-{n}") for n in range(5)])
            await producer.begin_transaction()
            await _send(stage, producer, ask("open"))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) >= 5, 30)
            before = {call.id for call in stage.calls()}
            await producer.commit_transaction()
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) >= 6, 30)

        assert before == {f"yes-{n}" for n in range(5)}
        assert {call.id for call in stage.calls()} == before | {"open"}


async def test_uncommitted_records_are_read_where_that_is_set(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """`KAFKA_ISOLATION=read_uncommitted` waits for no transaction."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        await stage.ready_worker(kafka_isolation="read_uncommitted")
        async with _transactional(stage) as producer:
            await producer.begin_transaction()
            await _send(stage, producer, ask("open"))
            await stage.verifier.until(lambda: bool(stage.calls()), 30)
            await producer.abort_transaction()

        assert [call.id for call in stage.calls()] == ["open"]


@pytest.mark.parametrize(
    "breaks",
    [flip_a_bit, lambda log, batch: set_codec(log, 5, batch=batch)],
    ids=["checksum", "unknown codec"],
)
async def test_batch_that_cannot_be_read_holds_its_partition_alone(
    own_kafka: KafkaBroker, tmp_path: Path, breaks: Callable[..., None]
) -> None:
    """Records before the batch and those of other partitions are answered; the worker says why."""
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path, partitions=2) as writing:
        await writing.open()
        for name in ("before", "broken", "behind"):
            await produce_with(writing, [ask(f"{name}-{n}", partition=0) for n in range(3)])
        prefix = writing.prefix
    await own_kafka.stop()
    breaks(segment(tmp_path / "kafka" / "data", f"{prefix}.requests", 0), batch=1)
    await own_kafka.start()

    async with Stage(own_kafka, tmp_path, partitions=2) as stage:
        stage.prefix = prefix
        worker = await stage.ready_worker()
        await produce_with(stage, [ask(f"other-{n}", partition=1) for n in range(3)])
        await until(lambda: len(stage.calls()) >= 6, 60, state=worker.tail)
        await until(lambda: worker.has_logged("partition.unreadable"), 30, state=worker.tail)

        called = {call.id.partition("-")[0] for call in stage.calls()}
        assert called == {"before", "other"}
        health = await _readyz(worker)
        assert any("cannot be read at offset 3" in line for line in health["degraded"]), health
        assert worker.log.read_text().count("partition.unreadable") == 1
        assert "streamapp_partitions_unreadable 1.0" in await _text(worker, "/metrics")


async def test_codec_that_is_not_installed_holds_its_partition(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Without its library the worker says which one it needs, and goes on where it can."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "cramjam.py").write_text("raise ImportError('left out for a test')\n")
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        await produce_with(stage, [ask("squeezed", partition=0)], compression_type="lz4")
        await produce_with(stage, [ask("plain", partition=1)])

        path = f"{tmp_path / 'without'}:{ROOT}"
        worker = WorkerProcess(tmp_path / "worker", stage.environment() | {"PYTHONPATH": path})
        stage.workers.append(worker)
        worker.start()
        await worker.wait_ready()
        await until(lambda: worker.has_logged("partition.unreadable"), 30, state=worker.tail)
        await until(lambda: bool(stage.calls()), 30, state=worker.tail)

        assert worker.alive
        assert [call.id for call in stage.calls()] == ["plain"]
        health = await _readyz(worker)
        assert any("lz4" in line for line in health["degraded"]), health


def _transactional(stage: Stage) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap, transactional_id=f"{stage.prefix}-test"
    )


async def _send(stage: Stage, producer: AIOKafkaProducer, record: Record) -> None:
    topic = f"{stage.prefix}.requests"
    await producer.send_and_wait(topic, record.value, key=record.key, partition=0)


async def _in_transaction(
    stage: Stage, producer: AIOKafkaProducer, records: list[Record], *, abort: bool = False
) -> None:
    await producer.begin_transaction()
    for record in records:
        await _send(stage, producer, record)
    await (producer.abort_transaction() if abort else producer.commit_transaction())


async def _text(worker: WorkerProcess, path: str) -> str:
    url = f"http://127.0.0.1:{worker.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()


async def _readyz(worker: WorkerProcess) -> dict[str, list[str]]:
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        body: dict[str, list[str]] = await response.json()
        return body
