"""Ten thousand connections that want nothing, while records flow."""

import asyncio
import contextlib
import os
import resource
import statistics
import time
from pathlib import Path

import pytest

from bench.usage import UsageLog
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(300)]

CONNECTIONS, RECORDS = 10_000, 300
#: The worker keeps 2,048 of them, the oldest make room; the rest are its own files.
FILES = 2_048 + 200
#: What so many connections may cost the worker, MB.
MEMORY_MB = 120
HEAD = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
#: A third says nothing, a third stops in its head, a third in its body.
OPENINGS = (b"", HEAD, HEAD + b"\r\n{")


async def lag_s(stage: Stage, name: str, done: int) -> float:
    """Produce records at a steady pace; return the median from record to answer, seconds."""
    waits = []
    for number in range(RECORDS // 10):
        started_at = time.monotonic()
        await stage.produce(ask(f"{name}-{number}-{part}") for part in range(10))
        done += 10
        await stage.verifier.all_answered(done, 60)
        waits.append(time.monotonic() - started_at)
    return statistics.median(waits)


async def connections(worker: WorkerProcess, wanted: int, stack: contextlib.AsyncExitStack) -> int:
    """Open connections that stay as they are; return how many were opened."""
    opened = 0
    for number in range(wanted):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", worker.port)
            stack.callback(writer.close)
            writer.write(OPENINGS[number % 3])
            opened += 1
    return opened


async def test_idle_connections_leave_the_records_alone(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Records are as quick as without them, memory is bounded, and callers are still served."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(CONNECTIONS, hard - 1_000) if hard != resource.RLIM_INFINITY else CONNECTIONS
    async with Stage(kafka, tmp_path, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        usage = UsageLog(worker.pid)
        await lag_s(stage, "warm", 0)
        before_s = await lag_s(stage, "before", RECORDS)
        usage.take()
        async with contextlib.AsyncExitStack() as stack:
            opened = await connections(worker, wanted, stack)
            beside_s = await lag_s(stage, "beside", 2 * RECORDS)
            usage.take()
            files = len(os.listdir(f"/proc/{worker.pid}/fd"))
            assert await worker.is_ready()
        report = await stage.settle(3 * RECORDS, 60)
    before_mb, beside_mb = (sample.rss_mb for sample in usage.samples)
    print(  # noqa: T201 - the figures
        f"{opened=} {files=} {before_s=:.3f} {beside_s=:.3f} {before_mb=:.0f} {beside_mb=:.0f}"
    )

    assert not report.faults, report
    assert (opened, files <= FILES) == (wanted, True)
    assert beside_mb - before_mb < MEMORY_MB
    assert beside_s < 3 * before_s + 0.1
