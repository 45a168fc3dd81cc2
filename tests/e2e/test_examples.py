"""A source of examples that fails while records flow."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

COUNT = 100


def ask(id_: str) -> Record:
    record = {"id": id_, "type": "generate", "prompt": "judge", "variables": {"x": id_}}
    return Record(json.dumps(record).encode())


class Source:
    """Serves a set until told to misbehave."""

    def __init__(self) -> None:
        self.mood = "good"
        self.asked = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.mood == "hangs":
            await asyncio.Event().wait()
        if self.mood == "huge":
            return web.Response(body=b"x" * 100_000_000)
        if self.mood == "garbage":
            return web.Response(text="<html>")
        return web.json_response([{"variables": {"x": "example"}, "output": "good"}])


async def test_a_failing_source_leaves_records_alone(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Garbage, 100 MB and a hang keep the last good set; the worker is degraded, and works."""
    source = Source()
    app = web.Application()
    app.router.add_get("/set", source.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    directory = tmp_path / "prompts"
    directory.mkdir()
    examples = f"{{url: 'http://127.0.0.1:{port}/set', refresh_s: 1}}"
    (directory / "judge.md").write_text(f"---\nexamples: {examples}\n---\n{{{{ x }}}} is judged")
    try:
        async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
            await stage.open()
            stage.provider.script({"text": "saw the example"}, match="example is judged")
            worker = await stage.ready_worker(
                prompts_dir=directory, examples_hosts=f"127.0.0.1:{port}"
            )

            async def degraded() -> Any:
                async with http.get(f"http://127.0.0.1:{worker.port}/readyz") as answer:
                    assert answer.status == 200
                    return (await answer.json())["degraded"]

            for mood in ("garbage", "huge", "hangs"):
                source.mood, asked = mood, source.asked
                await until(lambda seen=asked: source.asked > seen, 10)
                records = [ask(f"{mood}-{number}") for number in range(COUNT)]
                await stage.produce(records)
            report = await stage.settle(3 * COUNT)
            problems = await degraded()
            source.mood = "good"
            await until(lambda: _is_fine(degraded), 30)
            answers = [
                json.loads(found[0].value or b"") for found in stage.verifier.outcomes.values()
            ]
    finally:
        await runner.cleanup()

    assert not report.faults, report
    assert "examples http" in problems[0]
    assert {answer["output"] for answer in answers} == {"saw the example"}


async def _is_fine(degraded: Any) -> bool:
    return await degraded() == []
