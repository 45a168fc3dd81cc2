"""HTTP and the stream on one worker: each gets its share of it, and neither starves the other."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from bench.usage import UsageLog
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(300)]

RECORDS, CALLS, LATENCY_S, ROUNDS = 5_000, 500, 0.2, 3
#: How much longer than at its share either may take, side by side.
SLACK = 1.3


class Runs:
    """Runs calls and records against one worker, and tells how long each took, seconds."""

    def __init__(self, stage: Stage, worker: WorkerProcess, http: aiohttp.ClientSession) -> None:
        self._stage = stage
        self._http = http
        self._url = f"http://127.0.0.1:{worker.port}/v1/generate"
        self._usage = UsageLog(worker.pid)
        self._asked = self._produced = 0

    def cpu_s(self) -> float:
        """Return what the worker has used so far."""
        self._usage.take()
        return self._usage.samples[-1].cpu_s

    async def calls(self) -> float:
        """Ask for CALLS answers at once; every one is 200."""
        self._asked += CALLS
        started_at = time.monotonic()
        await asyncio.gather(*(self._call(number) for number in range(self._asked)[-CALLS:]))
        return time.monotonic() - started_at

    async def records(self) -> float:
        """Produce RECORDS, and wait until each is answered."""
        self._produced += RECORDS
        started_at = time.monotonic()
        await self._stage.produce(ask(f"r-{n}") for n in range(self._produced)[-RECORDS:])
        await self._stage.verifier.all_answered(self._produced, 120)
        return time.monotonic() - started_at

    async def _call(self, number: int) -> None:
        message = {"role": "user", "content": f"call-{number}"}
        body = {"type": "chat", "messages": [message]}
        async with self._http.post(self._url, json=body) as response:
            assert response.status == 200, await response.text()


async def test_http_and_records_share_the_worker(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Side by side each takes at most 1.3 times what it takes at its share of the worker.

    Its share is what it has alone, less the CPU that the other may use meanwhile at equal
    parts: as much as the smaller of both needs. docs/http.md says the same in words.
    """
    async with Stage(kafka, tmp_path, forked=False) as stage:
        await stage.open()
        stage.provider.script({"latency_s": LATENCY_S})
        worker = await stage.ready_worker()
        ratios = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            runs = Runs(stage, worker, http)
            await runs.calls()
            for _ in range(ROUNDS):
                begun_s = runs.cpu_s()
                calls_s = await runs.calls()
                between_s = runs.cpu_s()
                records_s = await runs.records()
                calls_cpu_s, records_cpu_s = between_s - begun_s, runs.cpu_s() - between_s
                taken_s = min(calls_cpu_s, records_cpu_s)
                beside_s = await asyncio.gather(runs.calls(), runs.records())
                ratios.append(
                    (beside_s[0] / (calls_s + taken_s), beside_s[1] / (records_s + taken_s))
                )
                print(  # noqa: T201 - the figures
                    f"{calls_s=:.2f} {calls_cpu_s=:.2f} {records_s=:.2f} {records_cpu_s=:.2f}"
                    f" beside={beside_s[0]:.2f},{beside_s[1]:.2f}"
                    f" ratios={ratios[-1][0]:.2f},{ratios[-1][1]:.2f}"
                )
        report = stage.report()

    assert not report.faults, report
    # A loud neighbour on the machine spoils a round, not all of them.
    assert min(max(pair) for pair in ratios) < SLACK, ratios
