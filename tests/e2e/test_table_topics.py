"""Topics of our tables that are deleted and made anew under a running worker."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics, delete_topic
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

CONFIGS = {
    "prompts": {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
    "spend": {"cleanup.policy": "compact,delete"},
    "limits": {"cleanup.policy": "compact"},
}


@pytest.mark.parametrize("name", list(CONFIGS))
async def test_topic_of_a_table_made_anew_ends_no_worker(
    kafka: KafkaBroker, tmp_path: Path, name: str
) -> None:
    """A call in flight is paid once; prompts of files stay, published ones are gone and told."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        worker = await stage.ready_worker()
        for number in range(3):
            await _publish(worker, "mine", f"old {number}")
        await stage.produce([ask("before", partition=0)])
        await stage.settle(1)
        await stage.produce([ask("slow", partition=0, script={"latency_s": 6, "unique": True})])
        await stage.in_flight(1)

        topic = f"{stage.prefix}.{name}"
        await delete_topic(kafka.bootstrap, topic)
        await create_topics(kafka.bootstrap, topic, configs={topic: CONFIGS[name]})
        await stage.produce([ask("behind", partition=0)])
        await stage.settle(3, 90)
        await worker.wait_ready(60)

        if name == "prompts":
            await until(lambda: worker.has_logged("prompts.made_anew"), 60, state=worker.tail)
            assert await _prompt(worker, "mine") == 404
            assert await _prompt(worker, "summarize") == 200
        for number in range(2):
            await _publish(worker, "new", f"new {number}")
        await stage.produce(
            [_generate("p", "new"), _generate("f", "summarize", text="long", max_words=5)]
        )
        report = await stage.settle(5, 60)

        assert not report.faults, report
        assert report.calls == 5
        assert b"new 0" in (stage.verifier.outcomes["p"][0].value or b"")
        worker.sigterm()
        assert await worker.wait(40) == 0


def _generate(id_: str, prompt: str, **variables: Any) -> Record:
    fields = {"id": id_, "type": "generate", "prompt": prompt, "variables": variables}
    return Record(json.dumps(fields).encode(), id_.encode(), 0)


async def _publish(worker: WorkerProcess, name: str, body: str) -> None:
    url = f"http://127.0.0.1:{worker.port}/v1/prompts/{name}/versions"
    async with aiohttp.ClientSession() as http, http.post(url, json={"body": body}) as response:
        assert response.status == 201, await response.text()


async def _prompt(worker: WorkerProcess, name: str) -> int:
    url = f"http://127.0.0.1:{worker.port}/v1/prompts/{name}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status
