"""What `/metrics` of real workers says, also while the group rebalances."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def scrape(http: aiohttp.ClientSession, worker: WorkerProcess) -> dict[str, float]:
    """Return each series of a worker by its name, summed over its labels."""
    async with http.get(f"http://127.0.0.1:{worker.port}/metrics") as response:
        assert response.status == 200
        text = await response.text()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


async def test_policies_and_faust_are_told_through_a_rebalance(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Waits, retries, breakers and Faust's own are counted; no scrape fails as workers join."""
    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        limit = 300  # calls come faster than that, also on a busy machine
        worker = await stage.ready_worker(global_requests_per_minute=limit)
        scrapes: list[dict[str, float]] = []
        joined = asyncio.Event()

        async def keep_scraping() -> None:
            while not joined.is_set():
                scrapes.append(await scrape(http, worker))
                await asyncio.sleep(0.05)

        scraping = asyncio.create_task(keep_scraping())
        await stage.produce([ask("r-0", script=[{"status": 503}, {}])])
        await stage.produce([ask(f"r-{n}") for n in range(1, 20)])
        await stage.settle(20)
        other = await stage.ready_worker(global_requests_per_minute=limit)
        joined.set()
        await scraping
        last = await scrape(http, other)

    before = max(scrapes, key=lambda found: found.get("streamapp_records_total", 0))
    assert before["streamapp_records_total"] == 20
    assert before["streamapp_rate_limit_wait_seconds_count"] >= 10
    assert max(found.get("streamapp_rate_limit_waiting", 0) for found in scrapes) >= 5
    assert before["streamapp_retries_total"] == 1
    assert before["streamapp_breaker_state"] == 0
    assert before["faust_http_status_codes_total"] == before["faust_http_latency_count"] > 0
    assert before["faust_messages_received_per_topic_total"] == 20
    assert max(found["faust_total_rebalances"] for found in scrapes) == 2
    assert last["faust_rebalance_done_latency_count"] == 1
    assert 0 < last["faust_rebalance_done_latency_sum"] < 60_000
