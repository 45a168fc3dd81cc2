"""Flows over inputs of different partition counts in the same workers, one of which grows."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.flow_stage import create_topic, merged, places_of, produce_values, watched
from tests.e2e.stage import Stage
from tests.support.judgement import Call
from tests.support.kafka import KafkaBroker
from tests.support.topics import add_partitions
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]

COUNTS = {"a": 3, "b": 8, "c": 24}
RECORDS, GROWN = 72, 6


async def test_inputs_of_3_8_and_24_partitions_and_one_that_grows(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """All are answered side by side; new partitions wait until a worker starts, and none ends.

    What waits there is answered from the first record on, also of a flow that began at the end.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage(kafka, tmp_path, partitions=2))
        await stage.open()
        for name, count in COUNTS.items():
            await create_topic(stage, f"{name}-in", count)
        flows = {name: merged(stage, f"{name}-in", f"{name}-out", step=name) for name in COUNTS}
        flows["a"]["from"] = "latest"
        settings = {"flows": json.dumps(flows)}
        first, second = await stage.ready_worker(**settings), await stage.ready_worker(**settings)
        for name in COUNTS:
            await produce_values(stage, f"{name}-in", _values(name, "x"))
            verifier = await stack.enter_async_context(watched(stage, f"{name}-in", f"{name}-out"))
            await verifier.all_answered(RECORDS, 120)
            await verifier.all_committed(60)
            assert not verifier.report(_calls(stage, name)).faults
        outputs = {name: len(await places_of(stage, f"{name}-out")) for name in COUNTS}

        await add_partitions(kafka.bootstrap, f"{stage.prefix}.a-in", GROWN)
        await until(lambda: _say_so(first) and _say_so(second), 60, state=first.tail)
        told = await _readyz(first)
        await _produce_to_all(stage, kafka)
        third = await stage.ready_worker(**settings)
        async with watched(stage, "a-in", "a-out") as verifier:
            await verifier.all_answered(RECORDS + GROWN, 120)
            await verifier.all_committed(60)
            report = verifier.report(_calls(stage, "a"))

        assert outputs == COUNTS
        assert "the next worker that starts takes them over" in told
        assert "STREAMAPP_PARTITIONS" not in told
        assert not report.faults, report
        assert report.calls == RECORDS + GROWN
        assert len(await places_of(stage, "a-out")) == COUNTS["a"]
        assert all(worker.alive for worker in (first, second, third))


def _say_so(worker: WorkerProcess) -> bool:
    return worker.has_logged("topics.partitions_held")


def _values(name: str, run: str) -> list[dict[str, str]]:
    return [{"id": f"{name}-{run}-{n}", "key": f"k-{n % 30}"} for n in range(RECORDS)]


def _calls(stage: Stage, step: str) -> list[Call]:
    words = [(call.message.split(" "), call.at_s) for call in stage.provider.calls]
    return [Call(word[0], at_s) for word, at_s in words if word[1:2] == [step]]


async def _produce_to_all(stage: Stage, kafka: KafkaBroker) -> None:
    """Put a record into each partition, by a client that knows the new ones."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for n in range(GROWN):
            value = json.dumps({"id": f"a-new-{n}", "key": f"new-{n}"}).encode()
            await producer.send_and_wait(
                f"{stage.prefix}.a-in", value, key=f"new-{n}".encode(), partition=n
            )


async def _readyz(worker: WorkerProcess) -> str:
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return await response.text()
