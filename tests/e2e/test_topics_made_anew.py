"""Inputs that are deleted, made anew and refilled while their partitions move: nothing is lost.

What ran meanwhile commits its place in the old topic, by name: the new one has that place too.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered, create_topics, delete_topic
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PARTITIONS, OLD, NEW = 2, 19, 40


async def test_worker_that_is_killed_in_the_drain_leaves_no_place_of_the_old_topic(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It had committed a record of the old topic that ended, and waited for another one."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        await stage.open()
        worker = await stage.ready_worker(revoke_drain_s=60)
        await _answered(stage)
        await _run_slowly(stage, {"held": True, "latency_s": 5}, {"latency_s": 60})
        new = await _make_anew(stage)
        stage.provider.let_go()
        await until(partial(_committed_is, stage, 0, OLD + 1), 40, state=worker.tail)
        stage.kill9(worker)

        next_one = await stage.ready_worker()
        await _all_answered(stage, new, next_one)

        assert next_one.has_logged("log.made_anew")


async def test_worker_that_joins_in_the_drain_begins_where_the_new_topic_does(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It never knew the old one; the other worker compares nothing while it drains."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        await stage.open()
        first = await stage.ready_worker(revoke_drain_s=20)
        await _answered(stage)
        await _run_slowly(stage, {"held": True}, {"held": True})
        joining = stage.start_worker()
        await until(lambda: first.has_logged("window.draining"), 60, state=first.tail)
        new = await _make_anew(stage)
        stage.provider.let_go()

        await _all_answered(stage, new, first, joining)

        assert joining.has_logged("log.made_anew")


async def test_worker_that_stops_in_the_drain_hands_over_to_one_that_knows_the_old_topic(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Both have told it by then, each of the partition that it had."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        await stage.open()
        first, second = await stage.ready_worker(), await stage.ready_worker()
        await first.wait_ready()
        await _answered(stage)
        await _run_slowly(stage, {"latency_s": 10}, {"latency_s": 10})
        new = await _make_anew(stage)
        both = (first, second)
        await until(lambda: all(worker.has_logged("log.made_anew") for worker in both), 60)
        first.sigterm()
        assert await first.wait(60) == 0

        await _all_answered(stage, new, second)


async def test_rolling_restart_behind_it_leaves_no_place_of_the_old_topic(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each worker drains what it has of the old topic, and commits that."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        await stage.open()
        workers = [await stage.ready_worker(), await stage.ready_worker()]
        await workers[0].wait_ready()
        await _answered(stage)
        await _run_slowly(stage, {"latency_s": 6}, {"latency_s": 6})
        new = await _make_anew(stage)
        for worker in workers:
            worker.sigterm()
            assert await worker.wait(60) == 0
            worker.start()
            await worker.wait_ready()

        await _all_answered(stage, new, *workers)


async def test_worker_that_lives_through_a_generation_without_the_topic_begins_at_its_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What it had committed in the drain is gone with the topic; the other one comes back."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        await stage.open()
        living, stopped = await stage.ready_worker(), await stage.ready_worker()
        await living.wait_ready()
        await _answered(stage)
        stopped.sigterm()
        assert await stopped.wait(60) == 0
        await delete_topic(kafka.bootstrap, f"{stage.prefix}.requests")
        await until(lambda: living.has_logged("topics.input_gone"), 60, state=living.tail)
        new = await _create_anew(stage)
        stopped.start()

        await _all_answered(stage, new, living, stopped)

        assert living.has_logged("log.made_anew")


async def _answered(stage: Stage) -> None:
    """Have some records of each partition answered."""
    places = [(partition, number) for partition in range(PARTITIONS) for number in range(OLD)]
    await stage.produce(ask(f"old-{at}-{number}", partition=at) for at, number in places)
    await stage.settle(len(places))


async def _run_slowly(stage: Stage, *scripts: Mapping[str, Any]) -> None:
    """Have a record of each partition in flight, for as long as its script says."""
    await stage.produce(
        ask(f"slow-{partition}", partition=partition, script=script)
        for partition, script in enumerate(scripts)
    )
    await stage.in_flight(len(scripts))


async def _make_anew(stage: Stage) -> set[str]:
    """Return the ids of what is in the new topic."""
    await delete_topic(stage.broker.bootstrap, f"{stage.prefix}.requests")
    return await _create_anew(stage)


async def _create_anew(stage: Stage) -> set[str]:
    """Return the ids of what is in the new topic, which is more than was in the old one."""
    await create_topics(stage.broker.bootstrap, f"{stage.prefix}.requests", partitions=PARTITIONS)
    places = [(partition, number) for partition in range(PARTITIONS) for number in range(NEW)]
    await stage.produce(ask(f"new-{at}-{number}", partition=at) for at, number in places)
    return {f"new-{at}-{number}" for at, number in places}


async def _all_answered(stage: Stage, new: set[str], *workers: WorkerProcess) -> None:
    """Wait until all of the new topic was asked, once, and is committed."""

    def state() -> str:
        return "\n".join([f"{sorted(new - _called(stage))}", *(each.tail() for each in workers)])

    await until(lambda: _called(stage) >= new, 60, state=state)
    for partition in range(PARTITIONS):
        await until(partial(_committed_is, stage, partition, NEW), 30, state=state)
    assert sorted(call.id for call in stage.calls() if call.id in new) == sorted(new)


def _called(stage: Stage) -> set[str]:
    return {call.id for call in stage.calls()}


async def _committed_is(stage: Stage, partition: int, offset: int) -> bool:
    async with administered(stage.broker.bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(stage.prefix)
    committed = offsets.get(TopicPartition(f"{stage.prefix}.requests", partition))
    return committed is not None and bool(committed.offset == offset)
