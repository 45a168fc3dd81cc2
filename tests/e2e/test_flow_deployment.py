"""A rolling deployment that adds a flow, changes one and removes one, under load."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.flow_stage import create_topic, merged, produce_values, watched
from tests.e2e.stage import Stage, ask
from tests.support.judgement import Call
from tests.support.kafka import KafkaBroker
from tests.support.verifier import Verifier

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]

#: Partitions of each flow's input.
INPUTS = {"stays": 3, "changes": 3, "leaves": 4, "joins": 2}
RATE_PER_S = 10.0


def _flow(stage: Stage, name: str, step: str) -> dict[str, Any]:
    return merged(stage, f"{name}-in", f"{name}-out", step=step)


def _calls(stage: Stage, name: str) -> list[Call]:
    words = [(call.message.split(" ")[0], call.at_s) for call in stage.provider.calls]
    return [Call(id_, at_s) for id_, at_s in words if id_.startswith(f"{name}-")]


class _Load:
    """A producer for each topic, until it is told to end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.sent = dict.fromkeys([*INPUTS, "requests"], 0)
        self._is_over = False

    def end(self) -> None:
        self._is_over = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name in INPUTS:
                group.create_task(self._flow(name))
            group.create_task(self._requests())

    async def _flow(self, name: str) -> None:
        while not self._is_over:
            begin = self.sent[name]
            values = [{"id": f"{name}-{n}", "key": f"k-{n % 20}"} for n in range(begin, begin + 20)]
            await produce_values(self._stage, f"{name}-in", values, rate_per_s=RATE_PER_S)
            self.sent[name] += len(values)

    async def _requests(self) -> None:
        while not self._is_over:
            begin = self.sent["requests"]
            records = [ask(f"requests-{n}", f"k-{n % 20}") for n in range(begin, begin + 20)]
            await self._stage.produce(records, rate_per_s=RATE_PER_S)
            self.sent["requests"] += len(records)


async def test_a_rolling_deployment_of_flows_loses_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each worker in turn gets other flows; nobody ends by itself, no call is made twice."""
    async with Stage(kafka, tmp_path, partitions=4) as stage, AsyncExitStack() as stack:
        await stage.open()
        for name, count in INPUTS.items():
            for topic in (f"{name}-in", f"{name}-out", f"{name}-in-dlt"):
                await create_topic(stage, topic, count)
        before = {name: _flow(stage, name, "old") for name in ("stays", "changes", "leaves")}
        after = {
            "stays": _flow(stage, "stays", "old"),
            "changes": _flow(stage, "changes", "new"),
            "joins": _flow(stage, "joins", "new"),
        }
        stage.provider.default(latency_s=0.05, unique=True)
        workers = [stage.start_worker(flows=json.dumps(before)) for _ in range(3)]
        for worker in workers:
            await worker.wait_ready()
        found: dict[str, Verifier] = {
            name: await stack.enter_async_context(watched(stage, f"{name}-in", f"{name}-out"))
            for name in INPUTS
        }
        found["requests"] = stage.verifier
        load = _Load(stage)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            for worker in list(workers):
                worker.sigterm()
                assert await worker.wait(60) == 0, worker.tail()
                workers.remove(worker)
                workers.append(await stage.ready_worker(flows=json.dumps(after)))
                assert all(other.alive for other in workers)
            load.end()
        answered = [name for name in found if name != "leaves"]
        for name in answered:
            await found[name].all_answered(load.sent[name], 120)
            await found[name].all_committed(60)
        assert all(worker.alive for worker in workers)
        assert not any(worker.has_logged("app.failed") for worker in stage.workers)
        reports = {name: found[name].report(_calls(stage, name), stage.crashes) for name in found}

    for name, report in reports.items():
        faults = report.faults
        if name == "leaves":  # what is behind its committed offsets waits until it comes back
            faults = [fault for fault in faults if fault not in report.missing]
        assert not faults, (name, report)
        assert not report.dead, (name, report)
        assert report.repeats == 0, (name, report)
        assert report.responses > 0, (name, report)
    assert {
        call.message.split(" ")[1] for call in stage.provider.calls if "changes" in call.message
    } == {"old", "new"}
    steps = [
        [name for name in json.loads(found_[-1].value or b"") if name in ("old", "new")]
        for id_, found_ in found["changes"].outcomes.items()
    ]
    assert {tuple(step) for step in steps} == {("old",), ("new",)}
