"""A rebalance that begins while a worker drains for its stop."""

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_newcomer_waits_for_the_drain_of_a_leaving_worker(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The group goes on only after the leaving worker's calls are answered; exit 0, none twice."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}", script={"latency_s": 12}) for number in range(20))
        await stage.in_flight(20)

        worker.sigterm()
        stage.start_worker()

        assert await worker.wait(40) == 0, worker.tail()
        report = await stage.settle(20)

    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, 20)
