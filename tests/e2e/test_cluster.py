"""A cluster of three brokers: restarted one by one, and with too few left to write."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka_cluster import NODES, KafkaCluster
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

OUTAGE_S = 15


async def _open(stage: Stage, cluster: KafkaCluster) -> WorkerProcess:
    """Start a worker, which creates the topics on all three, and follow them."""
    stage.provider.default(latency_s=0.2, unique=True)
    url = ";".join(broker.url for broker in cluster.brokers.values())
    worker = await stage.ready_worker(broker=url, replication_factor=3)
    await stage.open(made_by_worker=True)
    return worker


async def test_nothing_is_lost_while_brokers_are_restarted_one_by_one(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    """Leaders and coordinators move under load; whatever is repeated is the same."""
    is_over = False

    def records() -> Iterator[Record]:
        numbers = itertools.count()
        while not is_over:
            number = next(numbers)
            yield ask(f"r-{number}", f"k-{number % 50}")

    async with Stage(cluster.brokers[1], tmp_path) as stage:
        worker = await _open(stage, cluster)
        async with asyncio.TaskGroup() as group:
            producing = group.create_task(stage.produce(records(), rate_per_s=50))
            for node in NODES:
                with stage.cut_off():  # with its group's coordinator a member may be forgotten
                    await cluster.brokers[node].stop()
                    await cluster.start(node)
                    await asyncio.sleep(3)  # until it follows again
            is_over = True
        report = await stage.settle(producing.result(), 120)

        assert worker.alive
        assert not report.faults, report


async def test_nothing_is_lost_while_too_few_brokers_are_left_to_write(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    """Two of three are killed: the input waits, and so do answers; then all goes on by itself."""
    count = 1_500
    async with Stage(cluster.brokers[1], tmp_path) as stage:
        worker = await _open(stage, cluster)
        async with asyncio.TaskGroup() as group:
            records = (ask(f"r-{number}", f"k-{number % 50}") for number in range(count))
            group.create_task(stage.produce(records, rate_per_s=50))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 200, 60)
            with stage.cut_off():
                for node in (2, 3):
                    cluster.brokers[node].kill9()
                await asyncio.sleep(OUTAGE_S)
                await cluster.start(2, 3)
        report = await stage.settle(count, 180)

        assert worker.alive
        assert not report.faults, report
