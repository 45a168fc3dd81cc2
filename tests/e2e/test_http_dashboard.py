"""What somebody who looks on costs a worker."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from bench.usage import UsageLog
from streamapp.streaming.broker.embedded import EmbeddedBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.embedded, pytest.mark.chaos, pytest.mark.timeout(240)]

WATCHED_S = 15
#: Of the worker's one processor core.
MOST = 0.02


async def cpu_share(usage: UsageLog) -> float:
    """Return the part of a core that a worker uses in the next seconds."""
    begun_s = time.time()
    usage.take()
    await asyncio.sleep(WATCHED_S)  # what is measured is a time
    usage.take()
    return usage.cpu_between(begun_s, time.time()) / WATCHED_S


async def test_open_dashboard_costs_little(tmp_path: Path) -> None:
    """With a page open, a worker of two at rest uses less than 2 % of a core more."""
    with EmbeddedBroker() as broker:
        settings = {"STREAMAPP_BROKER": broker.url}
        workers = [WorkerProcess(tmp_path / name, settings) for name in ("one", "two")]
        try:
            for worker in workers:
                worker.start()
                await worker.wait_ready()
            usage = UsageLog(workers[0].pid)
            alone = await cpu_share(usage)
            url = f"http://127.0.0.1:{workers[0].port}/v1/live?count={3 * WATCHED_S}"
            async with aiohttp.ClientSession() as http, http.get(url) as response:
                assert response.status == 200
                watched = await cpu_share(usage)
        finally:
            for worker in workers:
                worker.kill9()

    print(f"{alone=:.4f} {watched=:.4f}")  # noqa: T201 - the figures
    assert watched - alone < MOST
