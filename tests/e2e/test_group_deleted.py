"""A group that an operator deletes while no worker runs: its generations begin anew."""

import time
from pathlib import Path

import pytest
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.e2e.stage import Stage, ask
from tests.support.commands import streamapp
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

SESSION_S = 6


@pytest.mark.parametrize(
    ("session_s", "pause_s"),
    [(SESSION_S, SESSION_S), (90, 0)],
    ids=["a session later", "within a session"],
)
async def test_answer_of_a_new_group_is_not_replaced_by_an_older_dead_letter(
    kafka: KafkaBroker, tmp_path: Path, session_s: int, pause_s: int
) -> None:
    """What the new group answered is paid once, though the dead letter's generation is higher."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        for _ in range(3):  # generations
            worker = await stage.ready_worker(session_timeout_s=session_s)
            worker.sigterm()
            assert await worker.wait(40) == 0
        worker = await stage.ready_worker(session_timeout_s=session_s)
        await stage.produce([ask("d-1", "k", script={"status": 400})])
        await stage.settle(1)
        dead_at = time.monotonic()
        worker.sigterm()
        assert await worker.wait(40) == 0
        async with administered(kafka.bootstrap) as admin:
            coordinator = await admin.find_coordinator(stage.prefix)
            answer = await admin._send_request(DeleteGroupsRequest([stage.prefix]), coordinator)
        assert [code for _, code in answer.results] == [0], "it still has members"
        await until(lambda: time.monotonic() - dead_at > pause_s, 30)

        worker = await stage.ready_worker(session_timeout_s=session_s)
        corrected = ask("d-1", "k")
        await stage.produce([corrected])
        await stage.verifier.until(lambda: len(answers(stage)) == 1, 60)
        worker.sigterm()
        assert await worker.wait(40) == 0
        calls = len(stage.calls())
        worker = await stage.ready_worker(session_timeout_s=session_s)
        await stage.produce([corrected])
        await stage.verifier.until(lambda: len(answers(stage)) == 2, 60)

        assert len(set(answers(stage))) == 1
        assert len(stage.calls()) == calls


async def test_group_that_begins_with_records_of_another_one_is_told(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It pays for all that the first one has answered, and nothing else said so."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        second = {"app_id": f"{stage.prefix}-2", "worker_url": "http://127.0.0.1:1"}
        await stage.open()
        await stage.ready_worker()
        await stage.produce(ask(f"r-{number}") for number in range(7))
        await stage.settle(7)

        checked = await streamapp("check", env=stage.environment(**second))

        told = f"the group '{stage.prefix}-2' has read nothing of"
        assert told in checked.out
        assert "holds 7 records" in checked.out
        again = await streamapp("check", env=stage.environment(worker_url="http://127.0.0.1:1"))
        assert told not in again.out


def answers(stage: Stage) -> list[bytes | None]:
    """Return the answers of the record so far."""
    return [each.value for each in stage.verifier.outcomes["d-1"] if not each.kind]
