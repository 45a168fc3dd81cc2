"""Stores on a disk beside their changelog: what either lacks is never paid again."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.e2e.flow_stage import all_records, create_topic, produce_values
from tests.e2e.stage import Record, Stage, ask
from tests.support.batches import cut_off, segment
from tests.support.kafka import KafkaBroker
from tests.support.older import older_version
from tests.support.topics import alter_topic, delete_topic
from tests.support.waiting import until
from tests.support.worker import ROOT, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

DISK = "rocksdb://"
#: The new ones alone are more than the old ones, of which some are lost.
COUNTS = {"old": 20, "new": 30}
#: The last version that notes no topic's id.
WITHOUT_IDS = "c01eceb1902be13ce1139a7719fea6f4c0b9d479"


@pytest.mark.parametrize(
    ("how", "store"), [("stopped", DISK), ("frozen", "memory://"), ("frozen", DISK)]
)
async def test_changelog_made_anew_behind_its_workers_back_is_read_whole(
    kafka: KafkaBroker, tmp_path: Path, how: str, store: str
) -> None:
    """It has grown past the place that was read to: neither old nor new answers are paid again."""
    old, new = ([ask(f"{name}-{n}") for n in range(20)] for name in ("old", "new"))
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        first = await stage.ready_worker(store=store)
        await stage.produce(old)
        await stage.settle(20)
        if how == "frozen":
            first.sigstop()
        else:
            await _stop(first)
        await delete_topic(kafka.bootstrap, f"{stage.prefix}-answers-changelog")
        second = await stage.ready_worker()
        await stage.produce([*new, *(ask(f"more-{n}") for n in range(20))])
        await stage.settle(60)
        await _stop(second)

        if how == "frozen":
            first.sigcont()
        else:
            first.start()
        await first.wait_ready()
        await stage.produce([*old, *new])
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == 100, 30)
        await stage.verifier.all_committed(60)

        assert _paid_twice(stage) == {}
        assert first.has_logged("changelog.begun_anew")


async def test_changelog_that_lost_its_end_and_grew_past_the_place_is_read_whole(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A restored broker, or an unclean election: the topic is the same, and another log by now."""
    old, new = ([ask(f"{name}-{n}") for n in range(count)] for name, count in COUNTS.items())
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        first = await stage.ready_worker(store=DISK)
        for count in (10, 20):
            await stage.produce(old[count - 10 : count])
            await stage.settle(count)
        await _stop(first)
        await own_kafka.stop()
        log = segment(tmp_path / "kafka" / "data", f"{stage.prefix}-answers-changelog", 0)
        cut_off(log, batch=1)
        await own_kafka.start()
        second = await stage.ready_worker()
        await stage.produce(new)
        await stage.settle(50)
        await _stop(second)

        first.start()
        await first.wait_ready()
        await stage.produce([*old, *new])
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == 100, 30)
        await stage.verifier.all_committed(60)

        assert _paid_twice(stage) == {}
        assert first.has_logged("changelog.begun_anew")


async def test_store_is_looked_at_where_the_leader_gives_out_none_of_the_changelog(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One that learns late of a flow's ledger: Faust shows nothing of what the disk holds."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        for name in ("sources", "parts"):
            await create_topic(stage, name, 1)
        worker = await stage.ready_worker(processors="tests.support.late_ledger", store=DISK)
        stage.provider.default(held=True, unique=True)
        await produce_values(stage, "sources", [{"n": 0, "key": "slow"}])
        await until(lambda: _called(stage, 1), 30)
        stage.provider.default(latency_s=300, unique=True)
        stage.provider.let_go()
        await until(lambda: _called(stage, 2), 30)
        stage.provider.default(latency_s=0.05, unique=True)
        await produce_values(stage, "sources", ({"n": n, "key": f"k-{n}"} for n in range(1, 11)))

        async def parts(count: int) -> bool:
            return len(await all_records(stage, "parts")) >= count

        await until(lambda: parts(30), 60)
        stage.kill9(worker)
        worker.start()
        await until(lambda: parts(33), 60)

        calls = [call.message for call in stage.provider.calls if call.message.startswith("0-0 ")]
        assert sum(message.startswith("0-0 one") for message in calls) == 1, calls


async def test_partition_that_comes_back_is_known_whole(kafka: KafkaBroker, tmp_path: Path) -> None:
    """What it held and what others wrote meanwhile is known, whichever worker has it."""
    sent = [ask(f"a-{n}", partition=n % 4) for n in range(40)]
    async with Stage(kafka, tmp_path, partitions=4) as stage:
        await stage.open()
        first = await stage.ready_worker(store=DISK)
        await stage.produce(sent)
        await stage.settle(40)
        for round in range(3):
            other = await stage.ready_worker(store=DISK)
            await first.wait_ready()
            more = [ask(f"{round}-{n}", partition=n % 4) for n in range(40)]
            await stage.produce(more)
            await stage.verifier.all_answered(len(sent) + 40, 60)
            sent += more
            if round == 1:
                stage.kill9(other)
            else:
                await _stop(other)
            await first.wait_ready()
        inputs = len(stage.verifier.inputs)
        await stage.verifier.all_committed(60)

        await stage.produce(sent)
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == inputs + len(sent), 30)
        await stage.verifier.all_committed(60)
        assert _paid_twice(stage) == {}

        stage.kill9(first)
        first.start()
        await first.wait_ready()
        await stage.produce(sent)
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == inputs + 2 * len(sent), 30)
        await stage.verifier.all_committed(60)
        assert _paid_twice(stage) == {}


async def test_outcomes_of_one_id_in_two_partitions_are_told_apart(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A dead letter is sent again to the other partition, and its answer is not lost in a crash."""
    ids = [f"r-{number}" for number in range(10)]
    records = [Record(ask(id, script=[{"status": 400}, {"unique": True}]).value) for id in ids]
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker(store=DISK)
        await stage.produce(replace(one, partition=n % 2) for n, one in enumerate(records))
        await stage.settle(10)
        # Refuses what has no key: answers are written, and their records stay uncommitted.
        responses = f"{stage.prefix}.responses"
        await alter_topic(kafka.bootstrap, responses, {"cleanup.policy": "compact"})
        await stage.produce(replace(one, partition=1 - n % 2) for n, one in enumerate(records))
        await until(partial(_has_entries, stage, 20), 60, state=worker.tail)

        stage.kill9(worker)
        await alter_topic(kafka.bootstrap, responses, {"cleanup.policy": "delete"})
        worker.start()
        await stage.verifier.until(
            lambda: all(any(not one.kind for one in stage.verifier.outcomes[id]) for id in ids), 60
        )
        await stage.verifier.all_committed(60)

        assert Counter(call.id for call in stage.calls()) == dict.fromkeys(ids, 2)
        kinds = [Counter(one.kind for one in stage.verifier.outcomes[id]) for id in ids]
        assert kinds == [{"rejected": 1, None: 1}] * 10


async def _has_entries(stage: Stage, count: int) -> bool:
    """Whether the ledger's changelog has so many."""
    places = [TopicPartition(f"{stage.prefix}-answers-changelog", n) for n in (0, 1)]
    async with AIOKafkaConsumer(bootstrap_servers=stage.broker.bootstrap) as client:
        return sum((await client.end_offsets(places)).values()) >= count


def _damage(data: Path) -> int:
    """Change bytes of entries in RocksDB's files; return in how many.

    A small one is nearly all index, without which it is not opened.
    """
    files = [file for file in data.rglob("*.sst") if file.stat().st_size > 5_000]
    for file in files:
        content = bytearray(file.read_bytes())
        for place in range(len(content) // 4, len(content) // 2, 50):
            content[place] ^= 0xFF
        file.write_bytes(content)
    return len(files)


def _paid_twice(stage: Stage) -> dict[str, int]:
    calls = Counter(call.id for call in stage.calls())
    return {id: count for id, count in calls.items() if count > 1}


async def _called(stage: Stage, count: int) -> bool:
    return len(stage.provider.calls) >= count


async def _stop(worker: WorkerProcess) -> None:
    worker.sigterm()
    assert await worker.wait(60) == 0, worker.tail()


async def test_damaged_store_is_read_from_kafka(kafka: KafkaBroker, tmp_path: Path) -> None:
    """RocksDB passes over what it cannot read: it is known anyway, and the log says so."""
    data, sent = tmp_path / "data", [ask(f"r-{n}") for n in range(40)]
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        stage.provider.default(size=3_000)
        worker = await stage.ready_worker(store=DISK, data_dir=data)
        await stage.produce(sent)
        await stage.settle(40)
        await _stop(worker)
        worker.start()  # what is in RocksDB's log goes into a file of entries
        await worker.wait_ready()
        await _stop(worker)
        assert _damage(data)

        worker.start()
        await worker.wait_ready()
        await stage.produce(sent)
        await stage.verifier.until(partial(_has_inputs, stage, 80), 30)
        await stage.verifier.all_committed(60)

        assert _paid_twice(stage) == {}
        assert worker.has_logged("store.disk_failed")


@pytest.mark.chaos
async def test_store_goes_to_an_earlier_version_and_back(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each reads on from what the other noted, or all of it."""
    older = {"PYTHONPATH": f"{older_version(WITHOUT_IDS, tmp_path / 'older')}:{ROOT}"}
    sent: list[Record] = []
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        for number, extra in enumerate((older, {}, older, {})):
            stage.extra = extra
            worker = await stage.ready_worker(store=DISK, data_dir=tmp_path / "data")
            inputs = len(stage.verifier.inputs)
            sent += [ask(f"{number}-{n}") for n in range(20)]
            await stage.produce(sent)
            await stage.verifier.until(partial(_has_inputs, stage, inputs + len(sent)), 30)
            await stage.settle(len(sent))
            await _stop(worker)

            assert _paid_twice(stage) == {}
            assert not worker.has_logged("Traceback")
            # The earlier one takes a place with an id for one beyond the end.
            assert worker.has_logged("changelog.begun_anew") == (number == 2)


def _has_inputs(stage: Stage, count: int) -> bool:
    return len(stage.verifier.inputs) == count
