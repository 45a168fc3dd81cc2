"""Metrics and probes scraped without a pause while the group rebalances, on Apache Kafka."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

COUNT = 300
PATHS = {"/metrics": {200}, "/livez": {200}, "/readyz": {200}}


async def test_scrapes_in_a_rebalance_are_answered_and_disturb_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Every scrape is whole text in time, and every record is answered once."""
    seen: dict[str, set[int]] = {path: set() for path in PATHS}
    families: set[str] = set()
    states: set[str] = set()
    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        stage.provider.default(latency_s=0.02)
        worker = await stage.ready_worker()

        async def scrape(path: str) -> None:
            timeout = aiohttp.ClientTimeout(total=10)
            while True:
                url = f"http://127.0.0.1:{worker.port}{path}"
                async with http.get(url, timeout=timeout) as response:
                    text = await response.text()
                seen[path].add(response.status)
                if path == "/metrics":
                    families.update(f.name for f in text_string_to_metric_families(text))
                if path == "/readyz":
                    states.add(json.loads(text)["status"])
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            scrapes = [group.create_task(scrape(path)) for path in PATHS]
            producing = group.create_task(
                stage.produce((ask(f"r-{n}") for n in range(COUNT)), rate_per_s=60)
            )
            other = await stage.ready_worker()
            other.sigterm()
            assert await other.wait(60) == 0
            await producing
            report = await stage.settle(COUNT)
            for task in scrapes:
                task.cancel()

        assert not report.faults, report
        assert {path: codes <= PATHS[path] for path, codes in seen.items()} == dict.fromkeys(
            PATHS, True
        ), seen
        assert states == {"ok", "degraded"}  # a rebalance was seen
        assert {"streamapp_records", "streamapp_in_flight"} <= families
        assert any(name.startswith("faust_") for name in families)
        assert not worker.has_logged("Traceback")
