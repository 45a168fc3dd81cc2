"""The broker is absent at the start, or goes away under load."""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.e2e.test_agents import agents
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(360)]

OUTAGE_S = 30
# A client that tells each of its tries writes several times as many.
MOST_LOG_LINES = 100


async def test_a_worker_waits_for_a_broker_absent_at_its_start(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It names the broker, tells its probes so, and works once the broker is there."""
    async with Stage(own_kafka, tmp_path) as stage:
        worker = stage.start_worker()
        await until(lambda: worker.has_logged("broker.unreachable"), 30, state=worker.tail)
        assert worker.has_logged(own_kafka.bootstrap)
        server = f"http://127.0.0.1:{worker.port}"
        chat = {"model": "default", "messages": [{"role": "user", "content": "x"}]}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{server}/livez") as alive,
            http.get(f"{server}/readyz") as ready,
            http.post(f"{server}/v1/chat/completions", json=chat) as refused,
        ):
            checks = (await ready.json())["checks"]
            said = (await refused.json())["error"]["code"]
        assert (alive.status, ready.status, refused.status) == (200, 503, 503)
        assert checks["broker"]["detail"].startswith("none has answered")
        assert said == "not_ready"

        await own_kafka.start()

        await worker.wait_ready()
        await stage.open(made_by_worker=True)
        await stage.produce(ask(f"r-{number}") for number in range(20))
        report = await stage.settle(20)

    assert not report.faults, report


async def test_nothing_is_lost_when_the_broker_is_away_under_load(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A broker killed for 30 s: unready meanwhile, a bounded log, then all is answered."""
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        records = [
            ask(f"r-{number}", f"k-{number % 50}", script={"latency_s": 0.2})
            for number in range(2000)
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.produce(records, rate_per_s=50))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 100, 30)
            logged = worker.logged_lines

            own_kafka.kill9()

            await asyncio.sleep(OUTAGE_S)  # the length of the outage is the point of the test
            assert await worker.is_unready()
            await own_kafka.start()
        report = await stage.settle(len(records), timeout_s=120)
        await worker.wait_ready()
        await until(lambda: worker.has_logged("broker.back"), 30, state=worker.tail)

    assert not report.faults, report
    assert worker.has_logged("broker.away")
    assert worker.logged_lines - logged < MOST_LOG_LINES, worker.tail()


async def test_no_agent_dies_of_a_broker_that_is_away_for_longer_than_its_deadline(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Finished steps wait for Kafka as answers do: their records go on, and pay nothing again."""
    deadline_s = 5
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        stage.extra = {"AGENT_LOG": str(tmp_path / "ran")}
        await stage.open()
        await stage.ready_worker(processors="tests.support.agent", deadline_s=deadline_s)
        records = agents(100, every=5)
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.produce(records, rate_per_s=20))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 10, 30)

            own_kafka.kill9()

            await asyncio.sleep(3 * deadline_s)  # the length of the outage is the point of the test
            await own_kafka.start()
        await stage.verifier.until(lambda: not stage.verifier.missing, 120)
        ended = [outcome for found in stage.verifier.outcomes.values() for outcome in found]

    assert Counter(outcome.kind for outcome in ended if outcome.kind) == {}


@pytest.mark.chaos
@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("fault", "outage_s"),
    [("SIGTERM", 5), ("SIGTERM", 70), ("SIGTERM", 190), ("SIGSTOP", 30)],
    ids=["stopped 5 s", "stopped 70 s", "stopped past the request timeout", "frozen 30 s"],
)
async def test_nothing_is_lost_however_long_the_broker_is_away(
    own_kafka: KafkaBroker, tmp_path: Path, fault: str, outage_s: float
) -> None:
    """Nothing is told as done that is not, and a minute after its return all is answered."""
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        stage.provider.default(latency_s=0.2, unique=True)
        await stage.open()
        worker = await stage.ready_worker()
        count = 1_000
        await stage.produce(ask(f"r-{number}", f"k-{number % 50}") for number in range(count))
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 200, 60)
        logged = worker.logged_lines

        with stage.cut_off():
            if fault == "SIGSTOP":
                own_kafka.sigstop()
            else:
                await own_kafka.stop()
            await asyncio.sleep(outage_s)  # its length is the point of the test
            if outage_s > 10:
                assert await worker.is_unready()
            if fault == "SIGSTOP":
                own_kafka.sigcont()
            else:
                await own_kafka.start()
        report = await stage.settle(count, timeout_s=60)
        await worker.wait_ready(60)

    assert not report.faults, report
    assert worker.logged_lines - logged < MOST_LOG_LINES, worker.tail()
