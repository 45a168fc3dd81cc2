"""Partitions added to the requests while workers run: they wait, and are then taken over."""

from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import add_partitions
from tests.support.verifier import Verifier
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]


async def test_added_partitions_wait_and_are_taken_over(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Nothing in them is paid before they have a ledger, and no worker ends."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        first, second = await stage.ready_worker(), await stage.ready_worker()
        await stage.produce([ask(f"before-{n}", partition=n % 2) for n in range(10)])
        await stage.settle(10)

        await add_partitions(kafka.bootstrap, f"{stage.prefix}.requests", 4)
        await until(lambda: _has_said_so(first) and _has_said_so(second), 60, state=first.tail)
        await _produce(stage, [ask(f"behind-{n}", partition=n % 4) for n in range(40)])
        await stage.verifier.until(lambda: len(stage.calls()) >= 30, 30)
        await _at_rest(stage)

        assert "STREAMAPP_PARTITIONS=4" in await _readyz(first)
        started_by_old_settings = await stage.ready_worker()
        assert {n for n in range(40) if f"behind-{n}" in _called(stage)} == {
            n for n in range(40) if n % 4 < 2
        }
        assert all(w.alive for w in (first, second, started_by_old_settings))

        for worker in (first, second):
            worker.sigterm()
            assert await worker.wait(60) == 0
        await stage.ready_worker(partitions=4)
        async with _verifier_of_all(stage) as verifier:
            await verifier.all_answered(50, 90)
            await verifier.all_committed(60)
            report = verifier.report(stage.calls())
        assert not report.faults, report
        assert report.calls == 50
        assert started_by_old_settings.alive


def _has_said_so(worker: WorkerProcess) -> bool:
    return worker.has_logged("topics.partitions_held")


def _verifier_of_all(stage: Stage) -> Verifier:
    """Return one that knows the new partitions: that of the stage has begun without them."""
    names = [f"{stage.prefix}.{name}" for name in ("requests", "responses", "requests-dlt")]
    requests, responses, dead_letters = names
    return Verifier(
        stage.broker.bootstrap,
        group=stage.prefix,
        requests=requests,
        responses=responses,
        dead_letters=dead_letters,
    )


def _called(stage: Stage) -> set[str]:
    return {call.id for call in stage.calls()}


async def _at_rest(stage: Stage) -> None:
    """Wait until all that can be answered is committed: what waits is not."""
    await stage.verifier.until(lambda: stage.provider.counts["in_flight"] == 0, 30)


async def _produce(stage: Stage, records: list[Record]) -> None:
    """Produce by a client that knows the new partitions."""
    async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
        for record in records:
            await producer.send_and_wait(
                f"{stage.prefix}.requests", record.value, record.key, record.partition
            )


async def _readyz(worker: WorkerProcess) -> str:
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return await response.text()
