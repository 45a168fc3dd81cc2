"""A worker is asked to stop: while it works, while it starts, while its broker is away.

Workers of three tests start as a user starts them: their end is the interpreter's own, threads
included. The others are about what a worker does before it.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: Kafka's number of that request.
PRODUCE = 0


async def test_sigterm_finishes_what_is_in_flight(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Running calls are answered, waiting records given back, exit 0, and no answer twice."""
    async with Stage(kafka, tmp_path, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker(max_in_flight=20)
        await stage.produce(ask(f"r-{number}", script={"held": True}) for number in range(50))
        await stage.in_flight(20)

        worker.sigterm()
        await worker.wait_unready()
        stage.provider.let_go()

        assert await worker.wait(30) == 0, worker.tail()
        answered = len(stage.verifier.outcomes)
        stage.start_worker()
        report = await stage.settle(50)

    assert answered < 50
    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, 50)


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)],
    ids=["SIGTERM twice", "SIGINT"],
)
async def test_other_signals_end_it_in_the_same_way(
    kafka: KafkaBroker, tmp_path: Path, signals: Sequence[signal.Signals]
) -> None:
    """Ctrl-C, and whoever asks again, cut nothing off and hang nothing: exit 0."""
    async with Stage(kafka, tmp_path, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}", script={"held": True}) for number in range(20))
        await stage.in_flight(20)

        for each in signals:
            os.kill(worker.pid, each)
            await until(worker.is_unready, 60, state=worker.tail)
        stage.provider.let_go()

        assert await worker.wait(30) == 0, worker.tail()
        report = await stage.settle(20)

    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, 20)


async def test_sigterm_during_a_rebalance_finishes_what_is_in_flight(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A worker that drains for a newcomer and is asked to stop answers its calls, exit 0."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}", script={"held": True}) for number in range(20))
        await stage.in_flight(20)
        stage.start_worker()
        await until(lambda: worker.has_logged("window.draining"), 60, state=worker.tail)

        worker.sigterm()
        stage.provider.let_go()

        assert await worker.wait(30) == 0, worker.tail()
        report = await stage.settle(20)

    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, 20)


async def test_sigterm_over_the_drain_limit_gives_the_record_back(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A call longer than the drain limit ends in a non-zero exit; another worker answers it."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker(drain_s=3)
        await stage.produce([ask("slow", script=[{"latency_s": 100}, {}])])
        await stage.in_flight(1)

        worker.sigterm()

        assert await worker.wait(30) == 1, worker.tail()
        stage.start_worker()
        await stage.settle(1)


async def test_sigterm_gives_back_what_waits_for_a_provider(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Records held in an outage keep no worker from stopping: exit 0, and another answers them."""
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.default(status=401)
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}") for number in range(20))
        await until(lambda: worker.has_logged("llm.breaker_opened"), 30, state=worker.tail)

        worker.sigterm()

        assert await worker.wait(30) == 0, worker.tail()
        stage.provider.default()
        stage.start_worker()
        report = await stage.settle(20)

    assert not [*report.missing, *report.dead], report
    assert not report.repeats


async def test_sigterm_lets_http_have_its_answer(kafka: KafkaBroker, tmp_path: Path) -> None:
    """A call in progress over HTTP is answered, and paid once; one that only waits gets 503."""
    async with Stage(kafka, tmp_path) as stage:
        busy = {"status": 429, "headers": {"retry-after": "60"}}
        stage.provider.script({"latency_s": 4}, busy)
        await stage.open()
        worker = await stage.ready_worker()
        url = f"http://127.0.0.1:{worker.port}/v1/generate"

        async def post(text: str) -> tuple[int, Any]:
            record = {"type": "chat", "messages": [{"role": "user", "content": text}]}
            async with aiohttp.ClientSession() as http, http.post(url, json=record) as response:
                return response.status, await response.json()

        running = asyncio.create_task(post("one"))
        await stage.in_flight(1)
        waiting = asyncio.create_task(post("two"))
        await until(lambda: len(stage.provider.calls) == 2, 30, state=worker.tail)

        worker.sigterm()

        status, answer = await running
        assert (status, answer["attempts"]) == (200, 1)
        status, refusal = await waiting
        assert (status, refusal["error"]["code"]) == (503, "retries_exhausted")
        assert await worker.wait(30) == 0, worker.tail()


async def test_sigterm_during_the_start_is_a_clean_exit(kafka: KafkaBroker, tmp_path: Path) -> None:
    """A worker that is still starting ends with exit code 0."""
    async with Stage(kafka, tmp_path, forked=False) as stage:
        worker = stage.start_worker()
        await until(lambda: worker.log.stat().st_size, 120, state=worker.tail)

        worker.sigterm()

        assert await worker.wait(30) == 0, worker.tail()


async def test_sigterm_in_the_first_write_of_prompts_ends_soon(
    proxied_kafka: ProxiedKafka, tmp_path: Path
) -> None:
    """Nothing is in flight: no write of a start that the line holds is waited for."""
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path) as stage:
        held = proxy.stall_at(PRODUCE, "up")
        worker = stage.start_worker(broker=proxy.url, drain_s=20)
        await asyncio.wait_for(held.wait(), 90)

        worker.sigterm()

        assert await worker.wait(15) == 0, worker.tail()


async def test_sigterm_ends_a_worker_that_waits_for_its_broker(tmp_path: Path) -> None:
    """Without a broker the worker says so, waits, and still ends with exit code 0."""
    absent = KafkaBroker(tmp_path / "kafka")
    async with Stage(absent, tmp_path) as stage:
        worker = stage.start_worker()
        await until(lambda: worker.has_logged(absent.bootstrap), 30, state=worker.tail)

        worker.sigterm()

        assert await worker.wait(30) == 0, worker.tail()


async def test_sigterm_while_the_broker_is_down_ends_in_bounded_time(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """With work in flight and no broker to commit to, the worker ends soon after its limit."""
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker(drain_s=5)
        await stage.produce(ask(f"r-{number}", script={"held": True}) for number in range(50))
        await stage.in_flight(20)
        own_kafka.kill9()

        worker.sigterm()
        stage.provider.let_go()

        assert await worker.wait(5 + 15) == 1, worker.tail()
        await own_kafka.start()
        stage.start_worker()
        report = await stage.settle(50)

    assert not report.missing, report
    assert not report.overcommitted, report


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_sigterm_of_an_idle_worker_ends_it_soon_while_the_broker_is_away(
    own_kafka: KafkaBroker, tmp_path: Path, fault: str
) -> None:
    """With nothing in flight there is nothing to wait for: exit 0, and no traceback."""
    await own_kafka.start()
    async with Stage(own_kafka, tmp_path) as stage:
        worker = await stage.ready_worker()
        if fault == "killed":
            own_kafka.kill9()
        else:
            own_kafka.sigstop()
        await until(lambda: worker.has_logged("broker.away"), 60, state=worker.tail)

        worker.sigterm()

        assert await worker.wait(20) == 0, worker.tail()
        assert not worker.has_logged("Traceback"), worker.tail()


async def test_sigterm_keeps_nobody_waiting_for_records_it_does_not_run(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """``?wait=``: what runs is answered; what is given back is pending, nobody waits for others."""
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.default(held=True)
        await stage.open()
        worker = await stage.ready_worker(max_in_flight=1)
        url = f"http://127.0.0.1:{worker.port}/v1/requests"
        record = {"type": "chat", "messages": [{"role": "user", "content": "hi"}]}

        async with aiohttp.ClientSession() as http:

            async def post(id: str) -> tuple[int, Any, str]:
                headers = {"Idempotency-Key": id}
                async with http.post(f"{url}?wait=60", json=record, headers=headers) as answer:
                    return answer.status, await answer.json(), answer.headers["Location"]

            async def get(id: str) -> int:
                async with http.get(f"{url}/{id}?wait=60") as answer:
                    return answer.status

            running = asyncio.create_task(post("runs"))
            await stage.in_flight(1)
            behind = asyncio.create_task(post("waits"))
            unknown = asyncio.create_task(get("nobodys"))
            await until(lambda: len(stage.verifier.inputs) == 2, 30, state=worker.tail)
            assert not any(task.done() for task in (behind, unknown))

            worker.sigterm()

            assert await unknown == 404
            assert not running.done()
            stage.provider.let_go()
            assert (await running)[1]["status"] == "ok"
            assert (await behind)[::2] == (202, "/v1/requests/waits")
        assert await worker.wait(30) == 0, worker.tail()
