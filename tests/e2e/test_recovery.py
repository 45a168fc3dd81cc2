"""What a worker holds in its tables, read again after a rebalance."""

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

BUSY = ("tests.support.slow_recovery", "worker")

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_tables_are_recovered_however_busy_the_machine_is(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What is fetched between the seek and the start of the reading is not lost for it."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        busy = await stage.ready_worker(command=BUSY)
        await stage.produce(ask(f"r-{number}") for number in range(40))
        await stage.settle(40)

        newcomer = await stage.ready_worker()
        await busy.wait_ready(90)
        assert newcomer.alive
        await stage.produce(ask(f"s-{number}") for number in range(40))
        report = await stage.settle(80)

    assert not report.faults, report
