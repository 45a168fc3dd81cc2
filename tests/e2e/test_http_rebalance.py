"""HTTP through a rebalance: nobody is sent away because a worker joins or leaves."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: What is asked over and over: answered at once, written to the topic, and the probe.
ASKED = ("/v1/generate", "/v1/chat/completions", "/v1/requests", "/readyz")
PAUSE_S = 0.1
#: Of a worker that joins and leaves, at most.
MOST_ROUNDS = 5


class Callers:
    """Ask one worker the same things until they are told to stop; an async context manager."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._url = f"http://127.0.0.1:{worker.port}"
        self._number = 0
        self.seen: Counter[tuple[str, int]] = Counter()
        #: Answers of the probe that were given while no records were taken.
        self.rebalancing = 0

    async def __aenter__(self) -> "Callers":
        self._http = aiohttp.ClientSession()
        self._tasks = [asyncio.create_task(self._ask(path)) for path in ASKED]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    async def _ask(self, path: str) -> None:
        while True:
            self._number += 1
            message = {"role": "user", "content": f"over-http-{self._number}"}
            body: dict[str, object] = {"messages": [message]}
            if path != "/v1/chat/completions":
                body |= {"type": "chat"}
            method, sent = ("GET", None) if path == "/readyz" else ("POST", body)
            async with self._http.request(method, self._url + path, json=sent) as response:
                text = await response.text()
            self.seen[path, response.status] += 1
            if path == "/readyz" and not json.loads(text)["checks"]["taking"]["ok"]:
                self.rebalancing += 1
            await asyncio.sleep(PAUSE_S)


async def test_worker_answers_http_while_others_join_and_leave(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Neither answers nor records nor the probe are refused in a rebalance."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        staying = await stage.ready_worker()
        async with Callers(staying) as callers:
            for _ in range(MOST_ROUNDS):  # a quick one may be over between two looks
                leaving = await stage.ready_worker()
                await staying.wait_ready()
                leaving.sigterm()
                await leaving.wait(60)
                await staying.wait_ready()
                if callers.rebalancing:
                    break

    refused = {what: times for what, times in callers.seen.items() if what[1] >= 300}
    print(dict(callers.seen), callers.rebalancing)  # noqa: T201 - the figures
    assert callers.rebalancing
    assert not refused
