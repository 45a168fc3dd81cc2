"""Recovery of the tables: whatever stands in their topics, it ends, within its bounds."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from streamapp.settings import Settings
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.log_place import LogPlace, mark_of
from streamapp.streaming.tables.changelog_reader import ChangelogReader, Take
from tests.e2e.stage import Stage, ask
from tests.support.batches import flip_a_bit, segment
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics, delete_records, delete_topic
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

MB = 1_000_000


async def test_markers_at_the_ends_keep_no_worker_from_starting(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What is no record can be the last of prompts, spend and changelog."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask("before", partition=0)])
        await stage.settle(1)
        await _stop(worker)
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=f"{stage.prefix}-t"
        )
        async with producer:
            await producer.begin_transaction()
            for topic in (f"{stage.prefix}.prompts", f"{stage.prefix}.spend", _changelog(stage)):
                await producer.send_and_wait(topic, b"aborted", key=b"k", partition=0)
            await producer.abort_transaction()

        started_at = time.monotonic()
        await stage.ready_worker()
        took_s = time.monotonic() - started_at
        await stage.produce([ask("behind", partition=0)])
        report = await stage.settle(2)

        assert not report.faults, report
        assert took_s < 30


async def test_foreign_record_in_the_changelog_is_passed_over(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The ledger keeps what it can read, and says what it cannot."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        asked = ask("once", partition=0)
        await stage.produce([asked])
        await stage.settle(1)
        await _stop(worker)
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            for value in (b"not ours", b"[]", b'{"digest": 1}', b"\x00\xff", None):
                await producer.send_and_wait(_changelog(stage), value, key=b"foreign", partition=0)

        worker = await stage.ready_worker()
        await stage.produce([asked])
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == 2, 30)
        await stage.verifier.all_committed(30)

        assert [call.id for call in stage.calls()] == ["once"]
        assert worker.has_logged("ledger.entry_unreadable")
        metrics = await _text(worker, "/metrics")
        assert "streamapp_ledger_unreadable_entries 4.0" in metrics


async def test_recovery_keeps_its_bound_and_answers_probes(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A changelog of many times the ledger's size is read within that, and `livez` all along."""
    async with Stage(kafka, tmp_path, partitions=4, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask(f"r-{n}", partition=n) for n in range(4)])
        await stage.settle(4)
        at_rest_mb = _memory_mb(worker)
        await _stop(worker)
        await _fill(stage, entries=4_000, size=100_000)

        worker = stage.start_worker(ledger_max_mb=64)
        peak_mb, slowest_s = await _watched(worker)

        line = worker.log.read_text()
        assert "records=400" in line, worker.tail()
        assert slowest_s < 1, f"livez took {slowest_s:.2f} s"
        assert peak_mb < at_rest_mb + 64 + 130, f"{at_rest_mb:.0f} to {peak_mb:.0f} MB"


async def test_retention_that_overtakes_a_reading_does_not_hold_it(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What is deleted while a changelog is read is missing, and the rest is read."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    await _write(kafka, topic, records=400, size=30_000)
    seen, take = _interrupted(lambda: delete_records(kafka.bootstrap, topic, 0, before=390))

    async with asyncio.timeout(60):
        ends = await _reader(kafka, topic).read({0: LogPlace(0)}, take, on_anew=_never)

    assert ends[0].offset == 400
    assert {0, *range(390, 400)} <= seen
    assert len(seen) < 400


async def test_changelog_that_is_deleted_while_it_is_read_does_not_hold_the_reading(
    kafka: KafkaBroker,
) -> None:
    """The client would ask for it for good; the worker's other flows wait for the reading."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    await _write(kafka, topic, records=400, size=30_000)
    seen, take = _interrupted(lambda: delete_topic(kafka.bootstrap, topic))

    with capture_logs() as logs:
        async with asyncio.timeout(60):
            places = await _reader(kafka, topic).read({0: LogPlace(0)}, take, on_anew=_never)

    assert len(seen) < 400
    assert places[0].offset == 0
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == [
        "changelog.missing"
    ]


async def test_changelog_made_anew_is_read_from_its_start(kafka: KafkaBroker) -> None:
    """A store on a disk knows offsets of a log that is gone."""
    topic, seen, anew = f"changelog-{uuid.uuid4().hex[:8]}", list[int](), list[int]()
    reader = _reader(kafka, topic)

    def take(partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        assert anew, "told before"
        seen.append(offset)

    await _write(kafka, topic, records=10, size=10)
    ends = await reader.read({0: LogPlace(1_000)}, take, on_anew=anew.append)
    assert ends[0].offset == 10
    assert await reader.read(ends, take, on_anew=_never) == ends
    await delete_topic(kafka.bootstrap, topic)
    await _write(kafka, topic, records=20, size=10)  # past where the old one was read to
    ends = await reader.read(ends, take, on_anew=anew.append)

    assert ends[0].offset == 20
    assert seen == [*range(10), *range(20)]
    assert anew == [0, 0]


async def test_place_is_known_by_the_record_before_it(kafka: KafkaBroker) -> None:
    """Nothing is read twice where that is the same or is gone; all is where it is another one."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    seen, anew = list[int](), list[int]()
    reader = _reader(kafka, topic)

    def take(partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        seen.append(offset)

    await _write(kafka, topic, records=10, size=10)
    ends = await reader.read({0: LogPlace(0)}, take, on_anew=_never)
    assert ends[0].last == mark_of(b"k", b"x" * 10)
    assert await reader.read(ends, take, on_anew=_never) == ends
    earlier = {0: ends[0]._replace(offset=7)}
    assert await reader.read(earlier, take, on_anew=_never) == ends
    assert seen == [*range(10), 7, 8, 9]

    other = {0: earlier[0]._replace(last=mark_of(b"k", b"y"))}
    assert await reader.read(other, take, on_anew=anew.append) == ends
    assert (seen[13:], anew) == ([*range(10)], [0])

    await delete_records(kafka.bootstrap, topic, 0, before=7)
    assert await reader.read(other, take, on_anew=_never) == ends
    assert seen[23:] == [7, 8, 9]


async def test_place_behind_what_is_no_record_is_as_good(kafka: KafkaBroker) -> None:
    """A transaction's marker stands there by now: a fetch passes it."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    await create_topics(kafka.bootstrap, topic)
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, b"x", partition=0)
    reader = _reader(kafka, topic)
    ends = await reader.read({0: LogPlace(0)}, lambda *record: None, on_anew=_never)
    assert ends == {0: LogPlace(2, ends[0].topic_id)}
    place = ends[0]._replace(last=mark_of(b"k", b"x"))

    async with asyncio.timeout(2):
        again = await reader.read({0: place}, lambda *record: None, on_anew=_never)

    assert again == {0: place}


async def test_record_before_the_place_that_cannot_be_read_holds_no_recovery(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It is not needed: it was read once."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    await own_kafka.start()
    await create_topics(own_kafka.bootstrap, topic)
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        for value in (b"0", b"1"):
            await producer.send_and_wait(topic, value, partition=0)
    reader = _reader(own_kafka, topic)
    ends = await reader.read({0: LogPlace(0)}, lambda *record: None, on_anew=_never)
    await own_kafka.stop()
    flip_a_bit(segment(tmp_path / "kafka" / "data", topic, 0), batch=1)
    await own_kafka.start()
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        await producer.send_and_wait(topic, b"2", partition=0)
    seen = list[int]()

    async with asyncio.timeout(30):
        again = await reader.read(
            ends, lambda partition, offset, key, value: seen.append(offset), on_anew=_never
        )

    assert (seen, again[0].offset, again[0].last) == ([2], 3, mark_of(None, b"2"))
    assert not reader.unreadable


@pytest.mark.parametrize(("partitions", "read"), [(2, {1}), (0, {1, 2})], ids=["known", "unknown"])
async def test_partition_that_a_changelog_lacks_is_not_taken_for_read(
    kafka: KafkaBroker, partitions: int, read: set[int]
) -> None:
    """What is written for it would have no place; a changelog that nobody knows holds nothing."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    if partitions:
        await create_topics(kafka.bootstrap, topic, partitions=partitions)

    with capture_logs() as logs:
        places = await _reader(kafka, topic).read(
            dict.fromkeys((1, 2), LogPlace(0)), lambda *record: None, on_anew=_never
        )

    assert places.keys() == read
    missing = {line["partition"] for line in logs if line["event"] == "changelog.missing"}
    assert missing == (read | {2}) - set(range(partitions))


def _never(partition: int) -> None:
    raise AssertionError("nothing was made anew")


def _interrupted(change: Callable[[], Coroutine[Any, Any, None]]) -> tuple[set[int], Take]:
    """Return what gathers the offsets that are taken, and changes the log behind the first one."""
    seen, changing = set[int](), ThreadPoolExecutor(1)

    def take(partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        if not seen:  # the reading stands still meanwhile
            changing.submit(lambda: asyncio.run(change())).result()
        seen.add(offset)

    return seen, take


def _reader(kafka: KafkaBroker, topic: str) -> ChangelogReader:
    return ChangelogReader(Settings(_env_file=None, broker=kafka.url), topic)


async def _write(kafka: KafkaBroker, topic: str, *, records: int, size: int) -> None:
    await create_topics(kafka.bootstrap, topic)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for _ in range(records):
            await producer.send(topic, b"x" * size, key=b"k", partition=0)


async def _fill(stage: Stage, *, entries: int, size: int) -> None:
    """Put finished ids of records that are committed into the changelog."""
    async with AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap, max_batch_size=500_000
    ) as producer:
        sent = []
        for number in range(entries):
            entry = LedgerEntry(
                digest="0" * 32,
                partition=number % 4,
                offset=0,
                expires_at=time.time() + 600,
                answer=b'"' + b"x" * size + b'"',
            )
            key = f"old-{number}".encode()
            sent.append(
                await producer.send(
                    _changelog(stage), entry.encode(), key=key, partition=number % 4
                )
            )
        await asyncio.gather(*sent)


async def _watched(worker: WorkerProcess) -> tuple[float, float]:
    """Return the most memory, MB, and the slowest answer of `livez`, seconds, until it is ready."""
    peak_mb = slowest_s = 0.0
    is_up = False
    url = f"http://127.0.0.1:{worker.port}/livez"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        while not await worker.is_ready():
            peak_mb = max(peak_mb, _memory_mb(worker))
            asked_at = time.monotonic()
            try:
                async with http.get(url) as response:
                    is_up = response.status == 200
            except aiohttp.ClientConnectionError:
                assert not is_up, "it answered before"
            if is_up:
                slowest_s = max(slowest_s, time.monotonic() - asked_at)
            await asyncio.sleep(0.02)
    return max(peak_mb, _memory_mb(worker)), slowest_s


def _memory_mb(worker: WorkerProcess) -> float:
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB


def _changelog(stage: Stage) -> str:
    return f"{stage.prefix}-answers-changelog"


async def _stop(worker: WorkerProcess) -> None:
    worker.sigterm()
    assert await worker.wait(30) == 0, worker.tail()


async def _text(worker: WorkerProcess, path: str) -> str:
    url = f"http://127.0.0.1:{worker.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()
