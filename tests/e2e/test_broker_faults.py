"""The broker is absent at the start, or goes away under load."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.e2e.test_agents import agents
from tests.e2e.test_steps import chain
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


def single(id_: str, *, is_streamed: bool) -> Record:
    """Return a record of one call."""
    fields = {"id": id_, "type": "chat", "cache": False, "stream": is_streamed}
    messages = [{"role": "user", "content": id_}]
    return Record(json.dumps({**fields, "messages": messages}).encode(), id_.encode())


async def test_no_record_dies_of_a_broker_that_is_away_for_longer_than_its_deadline(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Finished steps wait for Kafka as answers do: their records go on, and pay nothing again.

    Those of agents with tools, of several calls one behind another and side by side, with a step
    of their own, and those of one call, streamed or not.
    """
    deadline_s, each = 5, 40
    chains = [chain(f"c-{n}", **({"fan_out": 8} if n % 4 == 0 else {})) for n in range(each)]
    calls = [single(f"r-{n}", is_streamed=n % 2 > 0) for n in range(each)]
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        stage.extra = {"AGENT_LOG": str(tmp_path / "ran"), "CHAIN_LOG": str(tmp_path / "noted")}
        stage.provider.default(latency_s=0.3)
        await stage.open()
        await stage.ready_worker(
            processors="tests.support.agent,tests.support.chain", deadline_s=deadline_s
        )
        records = sum(zip(agents(each, every=5), chains, calls, strict=True), ())
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.produce(records, rate_per_s=30))
            await stage.verifier.until(lambda: len(stage.verifier.outcomes) > 10, 30)

            own_kafka.kill9()

            await asyncio.sleep(3 * deadline_s)  # the length of the outage is the point of the test
            await own_kafka.start()
        report = await stage.settle(len(records), 120)
        asked = Counter(
            (call.message.split(" ")[0], call.body_hash) for call in stage.provider.calls
        )
        ran = Counter(line.split()[0] for line in (tmp_path / "ran").read_text().splitlines())
        noted = Counter((tmp_path / "noted").read_text().split())

    assert not [*report.missing, *report.dead, *report.unequal, *report.overcommitted], report
    assert set(asked.values()) == {1}
    assert len(asked) == each * 3 + each * 3 // 4 * 3 + each // 4 * 9 + each
    assert (sum(ran.values()), set(noted.values())) == (each + each // 5 * 7, {1})


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
