"""Connections to the broker that are dead, and nobody says so."""

from pathlib import Path

import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(300)]


async def test_half_open_connections_are_made_anew(
    proxied_kafka: ProxiedKafka, tmp_path: Path
) -> None:
    """The worker works again long before the client's own limit of 180 s."""
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker(broker=proxy.url)
        await stage.produce(ask(f"before-{n}", partition=n % 2) for n in range(20))
        await stage.settle(20)

        with stage.cut_off():
            proxy.freeze()
            await stage.produce(ask(f"behind-{n}", partition=n % 2) for n in range(20))
            await stage.settle(40, 120)
        report = stage.report()

        assert worker.alive
        assert worker.has_logged("kafka.connection_silent")
        assert not report.faults, report


SLOW_S = 15


@pytest.mark.parametrize("fault", ["delay 500 ms", "drip", "dead upwards", "dead downwards"])
async def test_bad_line_costs_time_alone(
    proxied_kafka: ProxiedKafka, tmp_path: Path, fault: str
) -> None:
    """Whatever the line does for a while, nothing is lost, and nothing is answered otherwise."""
    broker, proxy, count = proxied_kafka.broker, proxied_kafka.proxy, 600
    async with proxy, Stage(broker, tmp_path, partitions=2) as stage:
        stage.provider.default(latency_s=0.2, unique=True)
        await stage.open()
        worker = await stage.ready_worker(broker=proxy.url)
        await stage.produce(ask(f"r-{n}", partition=n % 2) for n in range(20))
        await stage.settle(20)

        with stage.cut_off():
            if fault == "delay 500 ms":
                proxy.delay(0.5)
            elif fault == "drip":
                proxy.drip(400)
            else:
                proxy.stall("up" if fault == "dead upwards" else "down")
            later = (ask(f"r-{n}", partition=n % 2) for n in range(20, count))
            await stage.produce(later, rate_per_s=(count - 20) / SLOW_S)
            proxy.heal()
            await stage.settle(count, 120)
        report = stage.report()

        assert worker.alive
        assert not report.faults, report
