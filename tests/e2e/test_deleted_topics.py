"""Topics that are deleted under a running worker: it says so, pays little, and goes on after."""

from pathlib import Path

import aiohttp
import pytest

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


async def test_records_wait_unpaid_while_their_ledger_is_gone(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A worker that starts creates it; what the first one had in flight is finished there."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        first = await stage.ready_worker()
        ledger = f"{stage.prefix}-answers-changelog"
        await delete_topic(kafka.bootstrap, ledger)
        await until(lambda: _tells(first, f"topic {ledger} is gone"), 90, state=first.tail)
        await stage.produce(ask(f"r-{n}") for n in range(10))

        second = await stage.ready_worker()
        await first.wait_ready()
        await stage.verifier.all_answered(10, 90)
        await stage.verifier.all_committed(30)

        assert sorted(call.id for call in stage.calls()) == sorted(f"r-{n}" for n in range(10))
        assert first.alive
        assert second.alive


async def _tells(worker: WorkerProcess, text: str) -> bool:
    """Whether the worker is not ready for that reason."""
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status == 503 and text in await response.text()
