"""A stopping worker holds up its group no longer than its own records need."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(360)]


async def generate(worker: WorkerProcess, id_: str, latency_s: float) -> int:
    """Have the worker answer over HTTP, and return the status."""
    record = (ask(id_, script={"latency_s": latency_s}).value or b"").decode()
    url = f"http://127.0.0.1:{worker.port}/v1/generate"
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=record, headers=headers) as response,
    ):
        return response.status


async def test_partitions_move_while_an_http_call_still_runs(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The others answer what was the stopping worker's; its HTTP call is answered too."""
    call_s = 40
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        leaving = await stage.ready_worker()
        await stage.ready_worker()
        await leaving.wait_ready()
        call = asyncio.create_task(generate(leaving, "over-http", call_s))
        await stage.in_flight(1)
        began = time.monotonic()

        leaving.sigterm()
        await stage.produce(ask(f"r-{number}") for number in range(80))
        await stage.verifier.all_answered(80, call_s)
        answered_s = time.monotonic() - began
        assert leaving.alive
        status = await call
        code = await leaving.wait(30)
        report = await stage.settle(80)

    print(f"all answered {answered_s:.1f} s after SIGTERM")  # noqa: T201
    assert (status, code) == (200, 0)
    assert answered_s < call_s / 2
    assert not report.faults, report
    assert report.repeats == 0


async def test_newcomer_that_is_stopped_in_its_first_join_leaves_the_group(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Else its share stands still for a session, in which nobody takes it."""
    session_s = 40
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker(session_timeout_s=session_s)
        slow = [ask(f"slow-{n}", partition=n, script={"held": True}) for n in range(2)]
        await stage.produce(slow)
        await stage.in_flight(2)
        newcomer = stage.start_worker(session_timeout_s=session_s)
        await until(lambda: worker.has_logged("window.draining"), 30, state=newcomer.tail)
        newcomer.sigterm()
        assert await newcomer.wait(30) == 0
        stage.provider.let_go()
        began = time.monotonic()
        await stage.produce(ask(f"r-{n}", partition=n % 2) for n in range(20))
        await stage.verifier.all_answered(22, session_s)
        answered_s = time.monotonic() - began

    print(f"all answered {answered_s:.1f} s after it was gone")  # noqa: T201
    assert answered_s < session_s / 2


async def test_rebalance_in_a_stop_stands_still_for_a_revoke_only(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A rolling restart: a newcomer joins while a worker drains a long call."""
    call_s = 50
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        leaving = await stage.ready_worker(revoke_drain_s=3)
        await stage.produce([ask("slow", script=[{"latency_s": call_s}, {}])])
        await stage.in_flight(1)
        began = time.monotonic()
        with stage.cut_off():  # its call is paid again: it is cut short
            leaving.sigterm()
            stage.start_worker(revoke_drain_s=3)
            await stage.produce(ask(f"r-{number}") for number in range(80))
            await stage.verifier.all_answered(81, call_s - 5)
        answered_s = time.monotonic() - began
        await leaving.wait(60)
        report = await stage.settle(81)

    print(f"all answered {answered_s:.1f} s after SIGTERM")  # noqa: T201
    assert not report.faults, report
    assert report.repeats == 0
