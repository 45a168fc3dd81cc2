"""A full disk under DATA_DIR, on Apache Kafka: the worker does without it."""

import contextlib
import os
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.mounted import small_disk
from tests.support.worker import STREAMAPP

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SMALL_DISK = ("tests.support.small_disk",)
COUNT = 200
#: What takes no more: a file, or the whole disk, which only root can mount.
FULL = ["file", "disk"] if os.geteuid() == 0 else ["file"]


@pytest.mark.parametrize("full", FULL)
async def test_worker_lives_and_pays_nothing_twice_on_a_full_disk(
    kafka: KafkaBroker, tmp_path: Path, full: str
) -> None:
    """All are answered, it says so in log and readiness, and a restart knows all ids."""
    records = [ask(f"r-{n}") for n in range(COUNT)]
    data = tmp_path / "data"
    data.mkdir()
    command = SMALL_DISK if full == "file" else STREAMAPP
    async with contextlib.AsyncExitStack() as stack:
        if full == "disk":
            stack.enter_context(small_disk(data))
        stage = await stack.enter_async_context(Stage(kafka, tmp_path, partitions=2))
        await stage.open()
        stage.provider.default(size=20_000)
        worker = stage.start_worker(command=command, store="rocksdb://", data_dir=data)
        await worker.wait_ready()
        await stage.produce(records)
        report = await stage.settle(COUNT)

        assert not report.faults, report
        assert worker.has_logged("store.disk_failed")
        assert not worker.has_logged("Traceback")
        url = f"http://127.0.0.1:{worker.port}/readyz"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert (response.status, (await response.json())["degraded"]) == (200, ["store"])

        stage.kill9(worker)
        worker.start()
        await worker.wait_ready()
        await stage.produce(records)
        await stage.verifier.until(lambda: len(stage.verifier.inputs) == 2 * COUNT, 30)
        await stage.verifier.all_committed(60)
        # All that is committed is not all that is read here: the answers are large.
        await stage.verifier.until(lambda: min(map(len, stage.verifier.outcomes.values())) >= 2, 60)

        assert len(stage.provider.calls) == COUNT
