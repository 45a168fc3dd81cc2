"""A full disk under DATA_DIR, on Apache Kafka: the worker does without it."""

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SMALL_DISK = ("tests.support.small_disk",)
COUNT = 200


async def test_worker_lives_and_pays_nothing_twice_on_a_full_disk(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """All are answered, it says so in log and readiness, and a restart knows all ids."""
    records = [ask(f"r-{n}") for n in range(COUNT)]
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        stage.provider.default(size=20_000)
        worker = stage.start_worker(command=SMALL_DISK, store="rocksdb://")
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

        assert all(len(found) >= 2 for found in stage.verifier.outcomes.values())
        assert len(stage.provider.calls) == COUNT
