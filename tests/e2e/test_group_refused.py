"""A broker whose group takes no worker: what to change is said, and it joins once that is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamapp.streaming.broker.group_state import OFFSETS_TOPIC
from tests.e2e.stage import Stage, ask
from tests.support.commands import streamapp
from tests.support.kafka import STEADY, KafkaBroker
from tests.support.topics import create_topics
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

FACTOR, SIZE = "offsets.topic.replication.factor", "group.max.size"
#: What aiokafka says each time that there is no coordinator.
#: Where no worker is that `check` would ask.
NOBODY = "http://127.0.0.1:1"
CLIENTS_LINE = "Group Coordinator Request failed"


@pytest.fixture
def set_kafka(
    kafka_installed: None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[KafkaBroker]:
    """A broker with the settings of the test's parameter; the test starts it."""
    broker = KafkaBroker(tmp_path / "kafka", config=STEADY | request.param)
    yield broker
    broker.kill9()


@pytest.mark.parametrize("set_kafka", [{FACTOR: "3"}], indirect=True, ids=["one broker of three"])
async def test_missing_coordinator_is_explained_and_waited_for(
    set_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One broker cannot make the topic that coordinates groups where it is to have three copies."""
    broker = set_kafka
    await broker.start()
    async with Stage(broker, tmp_path, partitions=1) as stage:
        worker = stage.start_worker()
        await until(lambda: worker.has_logged("group.refused"), 90, state=worker.tail)
        reason = f"{FACTOR} is 3 and there is 1 broker; add brokers or lower it"
        assert worker.has_logged(reason)
        assert not worker.has_logged(CLIENTS_LINE)
        assert reason in (await _readiness(worker))["assigned"]["detail"]
        checked = await streamapp("check", env=stage.environment(worker_url=NOBODY))
        assert checked.code == 2
        assert f"WRONG group: nobody coordinates {stage.prefix!r}: " in checked.out
        assert reason in checked.out

        compacted = {OFFSETS_TOPIC: {"cleanup.policy": "compact"}}
        await create_topics(broker.bootstrap, OFFSETS_TOPIC, partitions=4, configs=compacted)

        await worker.wait_ready()
        assert (await streamapp("check", env=stage.environment(worker_url=NOBODY))).code == 0
        await stage.open(made_by_worker=True)
        await stage.produce([ask("r-1")])
        assert not (await stage.settle(1)).faults


@pytest.mark.parametrize("set_kafka", [{SIZE: "1"}], indirect=True, ids=["one member"])
async def test_full_group_is_named_and_joined_once_there_is_room(
    set_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The client does not know the code, and the broker's log says nothing of it."""
    broker = set_kafka
    await broker.start()
    async with Stage(broker, tmp_path, partitions=1) as stage:
        first = await stage.ready_worker()
        second = stage.start_worker()
        await until(lambda: second.has_logged("group.refused"), 90, state=second.tail)
        assert second.has_logged("GroupMaxSizeReached")
        assert SIZE in (await _readiness(second))["assigned"]["detail"]
        assert first.alive

        first.sigterm()

        assert await first.wait(40) == 0
        await second.wait_ready()


async def _readiness(worker: WorkerProcess) -> Any:
    """Return the checks of a worker that is not ready."""
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 503
        return (await response.json())["checks"]
