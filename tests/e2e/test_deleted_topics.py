"""Topics that are deleted under a running worker: it says so, pays little, and goes on after."""

from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.flow_stage import all_records, create_topic, produce_values
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics, delete_topic
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_worker_says_which_topic_is_gone_and_goes_on_once_it_is_back(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """First that of the answers, then that of the requests; each id is paid once."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        responses, requests = f"{stage.prefix}.responses", f"{stage.prefix}.requests"
        await delete_topic(kafka.bootstrap, responses)
        await stage.produce(ask(f"r-{n}", partition=0) for n in range(20))

        await until(lambda: _tells(worker, f"topic {responses} has taken no record"), 90)
        assert worker.alive
        await create_topics(kafka.bootstrap, responses)
        await worker.wait_ready(90)
        await stage.verifier.all_answered(20, 90)
        await stage.verifier.all_committed(30)
        assert sorted(call.id for call in stage.calls()) == sorted(f"r-{n}" for n in range(20))

        await delete_topic(kafka.bootstrap, requests)
        await until(lambda: _tells(worker, f"topic {requests} is gone"), 90)
        assert worker.alive
        await create_topics(kafka.bootstrap, requests)
        await worker.wait_ready(90)


@pytest.mark.parametrize("leader", ["of the same flows", "without the flow"])
async def test_flow_waits_while_its_ledger_is_gone_and_others_go_on(
    kafka: KafkaBroker, tmp_path: Path, leader: str
) -> None:
    """Whoever leads the group: a worker that starts creates the changelog again."""
    async with Stage(kafka, tmp_path, partitions=4) as stage:
        await stage.open()
        for name in ("sources", "parts"):
            await create_topic(stage, name, 2)
        flow = {"processors": "tests.support.triples"}
        first = await stage.ready_worker(**(flow if leader == "of the same flows" else {}))
        second = await stage.ready_worker(**flow)
        ledger = f"{stage.prefix}-answers-triple-changelog"
        await delete_topic(kafka.bootstrap, ledger)
        await until(lambda: _tells(second, f"topic {ledger} is gone"), 90, state=second.tail)
        await produce_values(stage, "sources", ({"n": n, "key": f"k-{n}"} for n in range(10)))
        await stage.produce(ask(f"r-{n}", partition=n % 4) for n in range(20))
        await stage.verifier.all_answered(20, 60)
        await stage.verifier.all_committed(30)

        third = await stage.ready_worker(**flow)
        await until(partial(_are_there, stage, "parts", 30), 60, state=third.tail)

        for worker in (first, second):
            await worker.wait_ready()


async def _are_there(stage: Stage, topic: str, count: int) -> bool:
    return len(await all_records(stage, topic)) >= count


async def _tells(worker: WorkerProcess, text: str) -> bool:
    """Whether the worker is not ready for that reason."""
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status == 503 and text in await response.text()
