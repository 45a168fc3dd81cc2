"""A worker is frozen past its session timeout, replaced, and thawed."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.tcp_proxy import Direction

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

OFFSET_COMMIT = 8


async def test_nothing_is_lost_when_a_frozen_worker_comes_back(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The other worker takes over; the thawed one does no harm and works again, or ends."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        frozen = await stage.ready_worker()
        other = await stage.ready_worker()
        await frozen.wait_ready()
        held = {"held": True, "latency_s": 4}
        await stage.produce(ask(f"r-{number}", script=held) for number in range(100))
        await stage.in_flight(50)

        stage.sigstop(frozen)
        stage.provider.let_go()
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


@pytest.mark.parametrize("held", ["up", "down"], ids=["request", "answer"])
async def test_worker_frozen_in_a_commit_harms_nothing(
    proxied_kafka: ProxiedKafka, tmp_path: Path, held: Direction
) -> None:
    """Its commit comes after the other worker's, or is never answered: nothing else comes of it."""
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path, partitions=2) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        frozen = await stage.ready_worker(broker=proxy.url)
        await stage.produce(ask(f"p-{number}") for number in range(20))
        await stage.settle(20)

        committing = proxy.stall_at(OFFSET_COMMIT, held)
        slow = {"latency_s": 3, "unique": True}
        await stage.produce(
            ask(f"r-{number}", script=slow if number % 2 else None) for number in range(40)
        )
        async with asyncio.timeout(60):
            await committing.wait()
        stage.sigstop(frozen)
        other = await stage.ready_worker()
        await stage.verifier.all_answered(60, 60)
        await stage.verifier.all_committed(60)
        proxy.heal()
        frozen.sigcont()

        await frozen.wait_ready()
        await stage.produce(ask(f"s-{number}") for number in range(40))
        report = await stage.settle(100)
        assert other.alive
        assert not report.faults, report
