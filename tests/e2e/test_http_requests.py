"""Records over HTTP through real workers on Apache Kafka, asked for at any of them."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.stage import Stage
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

COUNT = 24


def chat(id: str, script: str = "") -> dict[str, Any]:
    return {"id": id, "type": "chat", "messages": [{"role": "user", "content": f"{id}{script}"}]}


async def test_any_worker_knows_any_id(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Written at one worker, answered by several, asked for at each: one truth everywhere."""
    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        keys = {"api_keys": "first,second"}
        workers = [await stage.ready_worker(**keys), await stage.ready_worker(**keys)]
        http.headers["Authorization"] = "Bearer second"

        async def ask(worker: WorkerProcess, path: str, body: Any = None) -> tuple[int, Any]:
            url = f"http://127.0.0.1:{worker.port}/v1/requests{path}"
            method = "GET" if body is None else "POST"
            async with http.request(method, url, json=body) as response:
                return response.status, await response.json()

        async def told(id: str) -> list[tuple[int, str]]:
            """Return status and state as each worker tells them."""
            answers = [await ask(worker, f"/{id}") for worker in workers]
            return [(status, body.get("status", "")) for status, body in answers]

        async def all_say(id: str, state: str) -> None:
            async def agreed() -> bool:
                return await told(id) == [(200, state)] * 2

            await until(agreed, 30)

        # Joining the second worker moves partitions: both must be ready again.
        for worker in workers:
            await worker.wait_ready()
        answers = await asyncio.gather(
            *(ask(workers[n % 2], "?wait=30", chat(f"r-{n}")) for n in range(COUNT))
        )
        again = await ask(workers[0], "?wait=30", chat("r-1"))
        changed = await ask(workers[1], "?wait=30", chat("r-1", " changed"))

        slow = chat("slow", ' [[fake:{"held": true}]]')
        assert (await ask(workers[0], "", slow))[0] == 202
        await all_say("slow", "pending")
        dead = chat("dead", ' [[fake:{"status": 400}]]')
        dead_answer = await ask(workers[1], "?wait=30", dead)
        await all_say("dead", "dead")
        stage.provider.let_go()
        await all_say("slow", "ok")
        for n in range(COUNT):
            await all_say(f"r-{n}", "ok")
        assert [status for status, _ in await told("nobody")] == [404, 404]
        calls = [call.id for call in stage.calls()]

    assert [(status, body["id"]) for status, body in answers] == [
        (200, f"r-{n}") for n in range(COUNT)
    ]
    assert again == answers[1]
    assert changed[0] == 422
    assert (dead_answer[0], dead_answer[1]["status"], dead_answer[1]["kind"]) == (
        200,
        "dead",
        "rejected",
    )
    assert sorted(calls) == sorted({*(f"r-{n}" for n in range(COUNT)), "slow", "dead"})
