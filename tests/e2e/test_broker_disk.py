"""The broker's own disk is full: Kafka ends, and nothing is lost once there is room again."""

import asyncio
import resource
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(360)]

COUNT = 1_200
#: What a file of the broker may hold until it has room again, bytes: it writes some more of each.
ROOM = 200_000


async def test_nothing_is_lost_when_the_brokers_disk_is_full(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It ends at a write in the middle of the load; the worker waits, and pays nothing twice."""
    await own_kafka.start()
    records = [
        ask(f"r-{number}", f"k-{number % 50}", script={"latency_s": 0.1, "unique": True})
        for number in range(COUNT)
    ]
    async with Stage(own_kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.produce(records, rate_per_s=100))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 100, 60)
            # The kernel refuses what goes beyond: to Kafka no different from a full disk.
            resource.prlimit(own_kafka.process.pid, resource.RLIMIT_FSIZE, (ROOM, ROOM))

            ended = await own_kafka.process.wait(120)
            said = own_kafka.process.log.read_text()
            await worker.wait_unready()
            answered, called = len(stage.verifier.outcomes), len(stage.provider.calls)
            await own_kafka.start()  # with room again
        report = await stage.settle(COUNT, timeout_s=120)
        await worker.wait_ready()

    print(f"{answered} answered, {called} called when it ended with {ended}; {report}")  # noqa: T201
    assert "all log dirs in" in said, said
    assert ended != 0
    assert answered < COUNT
    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, COUNT)
