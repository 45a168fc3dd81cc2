"""Another program in the workers' group: it is named, and the worker joins once it is gone."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_worker_joins_once_a_foreign_member_has_left(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A console consumer with the group's name keeps nobody out for longer than it runs."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        foreign = AIOKafkaConsumer(
            f"{stage.prefix}.requests",
            bootstrap_servers=kafka.bootstrap,
            group_id=stage.prefix,
            enable_auto_commit=False,
        )
        await foreign.start()
        try:
            await until(lambda: foreign.assignment(), 30)
            worker = stage.start_worker()
            await until(lambda: worker.has_logged("group.refused"), 90, state=worker.tail)
            assert worker.has_logged("another program is in the consumer group")
            assert await worker.is_unready()
        finally:
            await foreign.stop()

        await stage.produce(ask(f"r-{number}") for number in range(5))
        report = await stage.settle(5, 60)
        assert not report.faults, report
        assert worker.alive
