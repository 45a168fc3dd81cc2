"""Records that stay unfinished for longer than the ledger's changelog keeps its entries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.e2e.stage import Record, Stage, ask
from tests.e2e.test_steps import calls_of, chain
from tests.support.kafka import KafkaBroker
from tests.support.topics import alter_topic
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

TTL_S = 20


@pytest.fixture
async def forgetful(kafka_installed: None, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """A broker that deletes what is past its retention at once."""
    broker = KafkaBroker(tmp_path / "kafka", config={"log.retention.check.interval.ms": "1000"})
    await broker.start()
    yield broker
    broker.kill9()


async def until_deleted(stage: Stage, entries: int) -> None:
    """Wait until the ledger's changelog has lost its first entries.

    Not until it begins behind them: where compaction has merged segments, it begins at 0 still.
    """
    place = TopicPartition(f"{stage.prefix}-answers-changelog", 0)
    client = AIOKafkaConsumer(bootstrap_servers=stage.broker.bootstrap)
    await client.start()
    client.assign([place])

    async def are_gone() -> bool:
        await client.seek_to_beginning(place)
        end = (await client.end_offsets([place]))[place]
        while await client.position(place) < end:  # a busy broker takes its time
            if found := (await client.getmany(place, timeout_ms=1000)).get(place):
                return bool(found[0].offset >= entries)
        return bool(end >= entries)

    try:
        await stage.verifier.until(are_gone, 80)
    finally:
        await client.stop()


async def test_finished_steps_outlive_the_changelogs_retention(
    forgetful: KafkaBroker, tmp_path: Path
) -> None:
    """A record that hangs in its third step for long, and is killed there, repeats none before."""
    log = tmp_path / "noted"
    async with Stage(forgetful, tmp_path, partitions=1) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain", ledger_ttl_s=TTL_S)
        await stage.produce([chain("h3-0", hangs_at=3)])
        await until(lambda: calls_of(stage)["h3-0", "two"] >= 1, 30, state=worker.tail)
        await until_deleted(stage, 2)

        stage.kill9(worker)
        worker.start()
        report = await stage.settle(1, 90)
        calls, noted = calls_of(stage), log.read_text().split()

    assert not [*report.missing, *report.overcommitted, *report.unequal], report
    assert calls["h3-0", "one"] == 1
    assert noted.count("h3-0") == 1


async def test_stored_answer_outlives_the_changelogs_retention(
    forgetful: KafkaBroker, tmp_path: Path
) -> None:
    """An answer that its topic refuses for long is emitted by the next worker, and not paid."""
    async with Stage(forgetful, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        worker = await stage.ready_worker(ledger_ttl_s=TTL_S)
        responses = f"{stage.prefix}.responses"
        await alter_topic(forgetful.bootstrap, responses, {"cleanup.policy": "compact"})
        await stage.produce([Record(ask("r-1").value, None, 0)])
        await until(lambda: worker.has_logged("emitter.retry"), 30, state=worker.tail)
        await until_deleted(stage, 1)

        stage.kill9(worker)
        await alter_topic(forgetful.bootstrap, responses, {"cleanup.policy": "delete"})
        worker.start()
        report = await stage.settle(1, 90)
        calls = len(stage.calls())

    assert not [*report.missing, *report.overcommitted, *report.unequal], report
    assert calls == 1
