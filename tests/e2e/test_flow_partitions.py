"""Flows over inputs of different partition counts in the same workers, one of which grows."""

import json
import re
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.flow_stage import (
    all_records,
    create_topic,
    merged,
    places_of,
    produce_values,
    watched,
)
from tests.e2e.stage import Stage, ask
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


@pytest.mark.parametrize("grown_by", ["a start", "hand"])
async def test_added_partitions_wait_whoever_leads_the_group(
    kafka: KafkaBroker, tmp_path: Path, grown_by: str
) -> None:
    """A leader without the flow gives them out; their worker takes nothing that it cannot note.

    It begins once their ledger is there, by a crash and a start, or without a rebalance.
    """
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        await create_topic(stage, "sources", 2)
        await create_topic(stage, "parts", GROWN)
        flow = {"processors": "tests.support.triples"}
        await stage.ready_worker()
        second = await stage.ready_worker(**flow)
        await produce_values(stage, "sources", ({"n": n, "key": f"k-{n}"} for n in range(10)))
        await until(partial(_has_parts, stage, 10), 60, state=second.tail)

        await add_partitions(kafka.bootstrap, f"{stage.prefix}.sources", GROWN)
        await _fill_all(stage, each=10)
        added = set(range(2, GROWN))
        await until(lambda: _is_any_paid(stage) or _held(second) == added, 90, state=second.tail)
        await stage.produce(ask(f"r-{n}", partition=n % 2) for n in range(10))
        await stage.verifier.all_answered(10, 60)
        assert not _is_any_paid(stage)
        told = await _readyz(second)
        await until(partial(_has_parts, stage, 10 + 2 * 10), 60, state=second.tail)

        if grown_by == "hand":
            await add_partitions(kafka.bootstrap, f"{stage.prefix}-answers-triple-changelog", GROWN)
        else:
            stage.kill9(second)
            second.start()
        await until(partial(_has_parts, stage, 10 + GROWN * 10), 90, state=second.tail)
        calls = Counter(_of_step(call.message) for call in stage.provider.calls)
        steps = {step: times for step, times in calls.items() if step is not None}

        assert "records in partitions 2 to 5 wait" in told
        assert len(steps) == 2 * (10 + GROWN * 10)
        assert set(steps.values()) == {1}


async def _has_parts(stage: Stage, sources: int) -> bool:
    return len(await all_records(stage, "parts")) >= 3 * sources


async def _fill_all(stage: Stage, *, each: int) -> None:
    """Put records into each partition, by a client that knows the new ones."""
    async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
        for n in range(GROWN * each):
            value = json.dumps({"n": n}).encode()
            await producer.send_and_wait(
                f"{stage.prefix}.sources", value, key=f"n-{n}".encode(), partition=n % GROWN
            )


def _of_step(message: str) -> tuple[str, str] | None:
    """Return place and step of a call of `triples`; None for another one."""
    words = message.split(" ")
    return (words[0], words[1]) if words[1:2] in (["one"], ["two"]) else None


def _is_any_paid(stage: Stage) -> bool:
    """Whether a record of a new partition is."""
    steps = [_of_step(call.message) for call in stage.provider.calls]
    return any(step is not None and int(step[0].partition("-")[0]) >= 2 for step in steps)


def _held(worker: WorkerProcess) -> set[int]:
    """Return the partitions that it held, in whichever generation."""
    found = re.findall(r"window\.partition_held .*partition=(\d+)", worker.log.read_text())
    return {int(partition) for partition in found}


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
