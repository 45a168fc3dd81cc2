"""A worker is frozen past its session timeout, replaced, and thawed."""

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_nothing_is_lost_when_a_frozen_worker_comes_back(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The other worker takes over; the thawed one does no harm and works again, or ends."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        frozen = await stage.ready_worker()
        other = await stage.ready_worker()
        await frozen.wait_ready()
        await stage.produce(ask(f"r-{number}", script={"latency_s": 4}) for number in range(100))
        await stage.in_flight(50)

        stage.sigstop(frozen)
        await stage.verifier.all_answered(100, 60)  # so the other one holds every partition
        frozen.sigcont()

        await stage.produce(ask(f"s-{number}", script={"latency_s": 1}) for number in range(100))
        report = await stage.settle(200)
        assert other.alive
        if frozen.alive:
            await frozen.wait_ready()
        else:
            assert frozen.exit_code == 1, frozen.tail()

    assert not report.faults, report
