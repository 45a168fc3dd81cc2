"""Workers join, leave by SIGTERM and die by `kill -9` every few seconds, under paced records."""

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.support.judgement import Report
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

KEYS = 100
PAUSE_S = (3, 7)
MOST_ALIVE = 3


class Fleet:
    """One to three workers that come and go by the dice.

    Args:
        stage: Starts and kills them.
        dice: Choose what happens, and when.
        settings: Of each worker, as for `Stage.start_worker`.
    """

    def __init__(self, stage: Stage, dice: random.Random, **settings: Any) -> None:
        self._stage = stage
        self._settings = settings
        self._dice = dice
        self._alive: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []

    async def churn(self, done: asyncio.Event) -> None:
        """Start with one worker and change the fleet until done; then leave it alone."""
        self.join()
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), self._dice.uniform(*PAUSE_S))
            self._dice.choice(self._moves())()
            for worker in self._alive:
                assert worker.alive, f"ended by itself, {worker.exit_code}\n{worker.tail()}"

    def join(self) -> None:
        """Start a worker."""
        self._alive.append(self._stage.start_worker(**self._settings))

    def leave(self) -> None:
        """Ask a worker to stop; kill it when it has not even begun to start."""
        worker = self._take()
        if worker.log.stat().st_size:
            worker.sigterm()
            self._leaving.append(worker)
        else:
            self._stage.kill9(worker)

    def die(self) -> None:
        """Kill a worker."""
        self._stage.kill9(self._take())

    async def left_cleanly(self) -> None:
        """Check that every worker asked to stop ended with exit code 0."""
        for worker in self._leaving:
            assert await worker.wait(30) == 0, worker.tail()

    def _take(self) -> WorkerProcess:
        return self._alive.pop(self._dice.randrange(len(self._alive)))

    def _moves(self) -> list[Callable[[], None]]:
        if len(self._alive) == 1:
            return [self.join]
        return [self.leave, self.die] + [self.join] * (len(self._alive) < MOST_ALIVE)


def _records(count: int, dice: random.Random) -> Iterator[Record]:
    for number in range(count):
        latency_s = round(min(3.0, dice.expovariate(1 / 0.2)), 3)
        key = f"key-{dice.randrange(KEYS)}"
        yield ask(f"r-{number}", key, script={"latency_s": latency_s})


async def _run(stage: Stage, seed: int, *, records: int, rate_per_s: float) -> Report:
    """Run one seed to its end and return the judgement."""
    dice = random.Random(seed)
    await stage.open()
    fleet, done = Fleet(stage, random.Random(seed)), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.churn(done))
        await stage.produce(_records(records, dice), rate_per_s=rate_per_s)
        done.set()
    report = await stage.settle(records, timeout_s=120)
    await fleet.left_cleanly()
    return report


@pytest.mark.timeout(360)
async def test_nothing_is_lost_while_workers_come_and_go(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One short seed: all answered, in order per key, never committed too early or paid twice."""
    async with Stage(kafka, tmp_path) as stage:
        report = await _run(stage, 1, records=2000, rate_per_s=50)

    assert not report.faults, report


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10))
async def test_nothing_is_lost_in_long_chaos(
    kafka: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Ten seeds of 10,000 records each, to the same judgement."""
    async with Stage(kafka, tmp_path, partitions=8) as stage:
        report = await _run(stage, seed, records=10_000, rate_per_s=150)

    with capsys.disabled():
        sys.stdout.write(f"\nseed {seed}, {len(stage.crashes)} kills: {report}\n")
    assert not report.faults, report
