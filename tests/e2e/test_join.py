"""Members that die in the join of their group, fifty times on each kind of broker.

Each round begins with a group without members: left or killed, a moment or a session ago. A stall
of bare clients, which have the worker's session, is the broker's; one of workers is ours.
"""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamapp.streaming.broker.embedded import EmbeddedBroker
from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.embedded]

ROUNDS, PARTITIONS = 50, 4
#: From the kill to the survivor's assignment, seconds.
READY_S = 30.0
#: What a worker logs that begins to join, and one that is not ready after half a minute.
JOINING, REASONS = "PositionRecovery]: Starting", ("group.not_assigned", "group.not_ready")
#: From the join of both to the kill, and from the end of a round to the next, seconds.
DELAYS_S, IDLE_S = (0.0, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0), (0.0, 2.0, 8.0)


@pytest.fixture(params=["embedded", "kafka"])
def bootstrap(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker of each kind."""
    if request.param == "embedded":
        with EmbeddedBroker() as broker:
            yield broker.url.removeprefix("kafka://")
    else:
        kafka: KafkaBroker = request.getfixturevalue("kafka")
        yield kafka.bootstrap


@pytest.mark.timeout(3600)
async def test_survivor_of_a_join_is_assigned_soon(bootstrap: str, tmp_path: Path) -> None:
    """One of two members is killed while both join; the other one gets all partitions."""
    group = f"join-{uuid.uuid4().hex[:8]}"
    dice = random.Random(0)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(group, PARTITIONS, 1)])
    await admin.close()

    times = [await _round(dice, bootstrap, group, tmp_path / str(n)) for n in range(ROUNDS)]

    assert max(times) <= READY_S, [round(seconds, 1) for seconds in times]


@pytest.mark.timeout(7200)
async def test_worker_that_survives_a_join_is_ready_soon_or_says_why(
    bootstrap: str, tmp_path: Path
) -> None:
    """One of two workers is killed while both join; the other one takes records."""
    group = f"join-{uuid.uuid4().hex[:8]}"
    dice = random.Random(0)
    settings = {
        "STREAMAPP_BROKER": f"kafka://{bootstrap}",
        "STREAMAPP_APP_ID": group,
        "STREAMAPP_TOPIC_PREFIX": group,
        "STREAMAPP_PARTITIONS": str(PARTITIONS),
        "STREAMAPP_MODEL": "offline/echo",
    }
    times, silent = [], []
    for number in range(ROUNDS):
        workers = [WorkerProcess(tmp_path / f"{number}-{n}", settings) for n in range(2)]
        survivor = dice.choice(workers)
        seconds = await _worker_round(dice, workers, survivor)
        times.append(seconds)
        if seconds > READY_S and not any(survivor.has_logged(reason) for reason in REASONS):
            silent.append((number, survivor.tail()))
        sys.stdout.write(f"{number}: ready after {seconds:.1f} s\n")

    sys.stdout.write(f"median {sorted(times)[ROUNDS // 2]:.1f}, most {max(times):.1f} s\n")
    assert not silent, silent


async def _worker_round(
    dice: random.Random, workers: list[WorkerProcess], survivor: WorkerProcess
) -> float:
    async def ready() -> None:
        await survivor.wait_ready(600)

    [victim] = [worker for worker in workers if worker is not survivor]
    return await _time(dice, victim, survivor, says=JOINING, goes_on=ready)


async def _round(dice: random.Random, bootstrap: str, group: str, directory: Path) -> float:
    command = [sys.executable, "-m", "tests.support.group_member", bootstrap, group, group]
    logs = [directory.with_suffix(f".{n}") for n in range(2)]
    victim, survivor = dice.sample([ChildProcess(command, log=log) for log in logs], 2)

    async def assigned() -> None:
        everything = f"assigned {PARTITIONS}"
        await until(lambda: everything in survivor.log.read_text(), 300, state=survivor.tail)

    return await _time(dice, victim, survivor, says="joining", goes_on=assigned)


async def _time(
    dice: random.Random,
    victim: ChildProcess,
    survivor: ChildProcess,
    *,
    says: str,
    goes_on: Callable[[], Awaitable[None]],
) -> float:
    """Return the time from the victim's death in the join to the survivor's work, seconds.

    Args:
        dice: Decides when the victim dies, and how the round ends.
        victim: Not started yet.
        survivor: Not started yet.
        says: What each of them logs that begins to join.
        goes_on: Waits until the survivor works.
    """
    members = (victim, survivor)
    try:
        for member in members:
            member.start()
        await until(lambda: all(says in member.log.read_text() for member in members), 120)
        await asyncio.sleep(dice.choice(DELAYS_S))
        victim.kill9()
        killed_at = time.monotonic()
        await goes_on()
        seconds = time.monotonic() - killed_at
        if dice.random() < 0.5:
            survivor.sigterm()
            await survivor.wait(60)
    finally:
        for member in members:
            if member.alive:
                member.kill9()
    await asyncio.sleep(dice.choice(IDLE_S))
    return seconds
