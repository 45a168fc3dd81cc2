"""A provider goes down under load and comes back: records wait on Kafka, none is given up."""

import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

LATENCY_S = 0.2
#: While speed is judged: what is in flight then is what was let go, and not how many calls a second
#: a busy machine makes.
JUDGED_LATENCY_S = 2.0
PROBES_PER_S = 2
MAX_IN_FLIGHT = 256


async def readiness(worker: WorkerProcess) -> tuple[int, str]:
    """Return the status and the body of GET /readyz."""
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text()


async def wait_out(stage: Stage, records: int, outage_s: float) -> None:
    """Produce under a provider that goes down for a while; judge the whole run."""
    provider = stage.provider
    provider.default(latency_s=JUDGED_LATENCY_S)
    await stage.open()
    worker = await stage.ready_worker()
    began_s = time.monotonic()
    await stage.produce([ask(f"r-{number}") for number in range(records)])
    await stage.in_flight(MAX_IN_FLIGHT // 2, 60)
    # The machine's own measure: getting up to speed with nothing in the way.
    cold_s = time.monotonic() - began_s
    provider.default(latency_s=LATENCY_S)
    await stage.verifier.until(lambda: len(provider.calls) > records // 10, 60)

    provider.default(status=503)
    down_s = time.monotonic()
    await stage.verifier.until(lambda: time.monotonic() > down_s + outage_s, outage_s + 10)
    status, body = await readiness(worker)
    calls_before = len(provider.calls)
    provider.default(latency_s=JUDGED_LATENCY_S)
    up_s = time.monotonic()
    # Full speed: more calls on their way than probes.
    await stage.in_flight(MAX_IN_FLIGHT // 2, 60)
    resumed_s = time.monotonic() - up_s
    provider.default(latency_s=LATENCY_S)
    await stage.verifier.all_answered(records, 120)
    await stage.verifier.all_committed(30)

    report = stage.report()
    refused = [call for call in provider.calls if call.status == 503]
    # What was in flight comes first; on a busy machine all of it later than a probe is due.
    settled_s = refused[0].at_s + 3 + cold_s
    asked = [call for call in refused if call.at_s > settled_s]
    speeds = f"cold {cold_s:.1f} s, resumed in {resumed_s:.1f} s"
    print(f"{len(refused)} refused, {len(asked)} probes, {speeds}")  # noqa: T201
    assert status == 200
    assert "openai/fake-model" in body
    assert not report.dead, report.dead
    assert not [*report.missing, *report.overcommitted, *report.unequal], report
    assert len(asked) <= PROBES_PER_S * outage_s / 4 + 2
    assert len(refused) <= 2 * MAX_IN_FLIGHT + len(asked)
    assert calls_before == len([c for c in provider.calls if c.at_s < up_s])
    assert resumed_s < 9 + 3 * cold_s
    assert worker.has_logged("llm.breaker_opened")
    assert worker.has_logged("llm.breaker_closed")


@pytest.mark.timeout(240)
async def test_short_outage_is_waited_out(kafka: KafkaBroker, tmp_path: Path) -> None:
    """20 s without a provider: no dead letter, few calls, back at full speed within seconds."""
    async with Stage(kafka, tmp_path) as stage:
        await wait_out(stage, 5_000, 20)


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("outage_s", [60, 600])
async def test_long_outage_is_waited_out(
    kafka: KafkaBroker, tmp_path: Path, outage_s: float
) -> None:
    """The same for 60 s and ten minutes: the worker is still a member of its group."""
    async with Stage(kafka, tmp_path) as stage:
        await wait_out(stage, 5_000, outage_s)
