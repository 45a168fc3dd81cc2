"""Logs that change under the workers: what is new is answered, what is gone is said."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered, create_topics, delete_records, delete_topic
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def unnamed(text: str) -> Record:
    """Return a record without an id: it gets one from its place."""
    messages = [{"role": "user", "content": text}]
    return Record(json.dumps({"type": "chat", "messages": messages}).encode(), b"k", 0)


async def test_topic_made_anew_while_it_runs_is_answered_from_its_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The position is of another log: all that is there is new, also at places known before.

    Whether the worker sees that its topic was gone, or its position alone, is chance.
    """
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([unnamed(f"old-{n}") for n in range(20)])
        await stage.settle(20)

        await _make_anew(stage)
        await stage.produce([unnamed(f"new-{n}") for n in range(15)])
        new = {f"new-{n}" for n in range(15)}
        await until(lambda: {call.id for call in stage.calls()} >= new, 60, state=worker.tail)

        assert sorted(call.id for call in stage.calls() if call.id in new) == sorted(new)
        await stage.produce([unnamed("last")])
        await until(lambda: "last" in {call.id for call in stage.calls()}, 30, state=worker.tail)
        await until(lambda: _committed_is(stage, 16), 30, state=worker.tail)


async def test_longer_topic_made_anew_under_a_frozen_worker_is_answered_from_its_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The position is a place of the new log too: its id alone says that it is another one."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker(session_timeout_s=30)
        await stage.produce([ask(f"old-{n}", partition=0) for n in range(20)])
        await stage.settle(20)

        worker.sigstop()
        await _make_anew(stage)
        await stage.produce([ask(f"new-{n}", partition=0) for n in range(40)])
        worker.sigcont()
        new = {f"new-{n}" for n in range(40)}
        await until(lambda: {call.id for call in stage.calls()} >= new, 60, state=worker.tail)
        await until(lambda: _committed_is(stage, 40), 30, state=worker.tail)

        assert sorted(call.id for call in stage.calls() if call.id in new) == sorted(new)
        assert worker.has_logged("log.made_anew")


async def test_commit_beyond_the_end_is_begun_anew(kafka: KafkaBroker, tmp_path: Path) -> None:
    """After a restore or an unclean election nothing new is skipped, nor what is known paid."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask(f"old-{n}", partition=0) for n in range(20)])
        await stage.settle(20)
        worker.sigterm()
        assert await worker.wait(30) == 0
        await _commit(stage, 50)
        await stage.produce([ask(f"new-{n}", partition=0) for n in range(15)])

        worker = await stage.ready_worker()
        await until(lambda: _committed_is(stage, 35), 60, state=worker.tail)

        assert worker.has_logged("log.shorter")
        ids = [call.id for call in stage.calls()]
        assert sorted(ids) == sorted({*ids})
        assert len(ids) == 35


async def _stopped_behind_one(stage: Stage) -> str:
    """Stop a worker that has answered one record, send ten more; return their topic."""
    worker = await stage.ready_worker()
    await stage.produce([ask("before", partition=0)])
    await stage.settle(1)
    worker.sigterm()
    assert await worker.wait(30) == 0
    await stage.produce([ask(f"r-{n}", partition=0) for n in range(10)])
    return f"{stage.prefix}.requests"


async def test_retention_that_passes_the_position_is_said(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What was deleted before its answer is counted, and what is left is answered."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        topic = await _stopped_behind_one(stage)
        await delete_records(kafka.bootstrap, topic, 0, before=6)

        worker = await stage.ready_worker()
        left = {f"r-{n}" for n in range(5, 10)}
        await until(lambda: {call.id for call in stage.calls()} >= left, 60, state=worker.tail)

        assert {call.id for call in stage.calls()} == {"before", *left}
        text = worker.log.read_text()
        assert text.count("log.start_passed") == 1
        assert "lost=5" in text


async def test_retention_that_emptied_the_log_is_said_once(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Nothing comes behind what is gone: that is committed all the same, and not said again."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        topic = await _stopped_behind_one(stage)
        await delete_records(kafka.bootstrap, topic, 0, before=11)

        worker = await stage.ready_worker()
        await until(lambda: _committed_is(stage, 11), 60, state=worker.tail)

        assert worker.log.read_text().count("log.start_passed") == 1


async def test_what_was_deleted_before_a_group_came_is_no_loss(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A new group begins where its log begins, and alarms nobody."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        await stage.produce([ask(f"old-{n}", partition=0) for n in range(20)])
        topic = f"{stage.prefix}.requests"
        await delete_records(kafka.bootstrap, topic, 0, before=20)

        worker = await stage.ready_worker()
        await until(lambda: _committed_is(stage, 20), 60, state=worker.tail)
        await stage.produce([ask("new", partition=0)])
        await until(lambda: _committed_is(stage, 21), 60, state=worker.tail)

        assert [call.id for call in stage.calls()] == ["new"]
        assert not worker.has_logged("log.start_passed")


async def _make_anew(stage: Stage) -> None:
    topic = f"{stage.prefix}.requests"
    await delete_topic(stage.broker.bootstrap, topic)
    await create_topics(stage.broker.bootstrap, topic)


async def _commit(stage: Stage, offset: int) -> None:
    place = TopicPartition(f"{stage.prefix}.requests", 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stage.broker.bootstrap, group_id=stage.prefix, enable_auto_commit=False
    )
    async with consumer:
        consumer.assign([place])
        await consumer.commit({place: offset})


async def _committed_is(stage: Stage, offset: int) -> bool:
    async with administered(stage.broker.bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(stage.prefix)
    committed = offsets.get(TopicPartition(f"{stage.prefix}.requests", 0))
    return committed is not None and bool(committed.offset == offset)
