"""Flows that begin at the end, whose inputs are made anew around restarts: nothing is passed over.

Kafka deletes the group's offsets with the topic, so that the flow looks like a new one.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.flow_stage import all_records, create_topic, merged
from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered, delete_topic
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PARTITIONS, OLD, NEW = 2, 10, 40


async def test_input_made_anew_while_no_worker_runs_is_read_from_its_beginning(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What stood there before the flow was new is not answered, all of the new topic is."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        settings = await _open(stage)
        await _produce(stage, "before", OLD)
        workers = [await stage.ready_worker(**settings) for _ in range(2)]
        await workers[0].wait_ready()
        await _produce(stage, "old", OLD)
        await until(partial(_answered, stage, "old", OLD), 60, state=workers[0].tail)
        for worker in workers:
            worker.sigterm()
            assert await worker.wait(60) == 0
        await _make_anew(stage)

        for worker in workers:
            worker.start()

        await until(partial(_answered, stage, "new", NEW), 60, state=workers[0].tail)
        assert any(worker.has_logged("log.made_anew") for worker in workers)
        assert not await _answered(stage, "before", 1)


async def test_input_made_anew_behind_a_generation_without_it_is_read_from_its_beginning(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The worker lives, and looks for the offsets more than once in each assignment."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS) as stage:
        settings = await _open(stage)
        worker = await stage.ready_worker(**settings)
        await _produce(stage, "old", OLD)
        await until(partial(_answered, stage, "old", OLD), 60, state=worker.tail)
        topic = f"{stage.prefix}.reviews"
        await delete_topic(stage.broker.bootstrap, topic)
        await until(partial(_has_opened, worker, 2), 60, state=worker.tail)
        await until(partial(_is_forgotten, stage, topic), 30)

        await create_topic(stage, "reviews", PARTITIONS)
        await _produce(stage, "new", NEW)

        await until(partial(_answered, stage, "new", NEW), 90, state=worker.tail)
        assert worker.has_logged("log.made_anew")


def _has_opened(worker: WorkerProcess, generations: int) -> bool:
    return worker.log.read_text().count("window.opened") >= generations


async def _open(stage: Stage) -> dict[str, Any]:
    """Open the stage; return the settings of a worker with such a flow."""
    await stage.open()
    await create_topic(stage, "reviews", PARTITIONS)
    await create_topic(stage, "replies", PARTITIONS)
    flow = merged(stage, "reviews", "replies", step="reply", **{"from": "latest"})
    return {"flows": json.dumps({"reply": flow})}


async def _produce(stage: Stage, name: str, count: int) -> None:
    values = [(number, {"id": f"{name}-{number}", "key": str(number)}) for number in range(count)]
    await stage.produce(
        (
            Record(json.dumps(value).encode(), value["key"].encode(), number % PARTITIONS)
            for number, value in values
        ),
        topic="reviews",
    )


async def _make_anew(stage: Stage) -> None:
    topic = f"{stage.prefix}.reviews"
    await delete_topic(stage.broker.bootstrap, topic)
    await until(partial(_is_forgotten, stage, topic), 30)
    await create_topic(stage, "reviews", PARTITIONS)
    await _produce(stage, "new", NEW)


async def _is_forgotten(stage: Stage, topic: str) -> bool:
    async with administered(stage.broker.bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(stage.prefix)
    return not any(tp.topic == topic for tp in offsets)


async def _answered(stage: Stage, name: str, count: int) -> bool:
    ids = {str(json.loads(record.value)["id"]) for record in await all_records(stage, "replies")}
    return len([id for id in ids if id.startswith(f"{name}-")]) >= count
