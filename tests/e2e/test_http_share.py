"""HTTP and the stream side by side: neither starves the other, whatever knocks at the door."""

import asyncio
import contextlib
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(240)]

RECORDS, CALLS, LATENCY_S = 5_000, 500, 0.2


async def generations(http: aiohttp.ClientSession, port: int, name: str) -> float:
    """Ask for CALLS answers at once; return how long they took, seconds."""

    async def one(number: int) -> None:
        message = {"role": "user", "content": f"{name}-{number}"}
        body = {"type": "chat", "messages": [message]}
        async with http.post(f"http://127.0.0.1:{port}/v1/generate", json=body) as response:
            assert response.status == 200, await response.text()

    started_at = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(CALLS)))
    return time.monotonic() - started_at


async def records(stage: Stage, name: str, done: int) -> float:
    """Produce RECORDS; return how long they took, seconds."""
    started_at = time.monotonic()
    await stage.produce(ask(f"{name}-{number}") for number in range(RECORDS))
    await stage.verifier.all_answered(done + RECORDS, 120)
    return time.monotonic() - started_at


async def test_http_and_records_share_the_worker(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Together they take at most 1.3 times as long as one after the other, in one of 3 rounds."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        stage.provider.script({"latency_s": LATENCY_S})
        worker = await stage.ready_worker()
        ratios = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await generations(http, worker.port, "warm")
            for turn in range(3):
                http_s = await generations(http, worker.port, f"http-alone-{turn}")
                records_s = await records(stage, f"alone-{turn}", 2 * turn * RECORDS)
                beside_s = await asyncio.gather(
                    generations(http, worker.port, f"http-beside-{turn}"),
                    records(stage, f"beside-{turn}", (2 * turn + 1) * RECORDS),
                )
                ratios.append(max(beside_s) / (http_s + records_s))
                print(f"{http_s=:.2f} {records_s=:.2f} {beside_s=}")  # noqa: T201 - the figures
        report = stage.report()

    assert not report.faults, report
    assert min(ratios) < 1.3, ratios


async def test_attacks_leave_the_records_alone(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Idle connections, slow heads and slow bodies by the hundred cost the stream nothing."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        head = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        async with contextlib.AsyncExitStack() as stack:
            for number in range(3_000):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", worker.port)
                    stack.callback(writer.close)
                    writer.write((b"", head, head + b"\r\n{")[number % 3])
            await stage.produce(ask(f"r-{number}") for number in range(500))
            report = await stage.settle(500, 60)
            assert await worker.is_ready()

    assert not report.faults, report
