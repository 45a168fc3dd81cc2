"""Workers join, leave and die every few seconds, freeze and are cut off, under paced records."""

import asyncio
import contextlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Record, Stage, ask
from tests.support.judgement import Report
from tests.support.kafka import KafkaBroker
from tests.support.tcp_proxy import TcpProxy
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

KEYS = 100
PAUSE_S = (3, 7)
#: How long a worker is frozen or cut off, seconds: from well within its session to well past it.
FAULT_S = (1, 12)
MOST_ALIVE = 3
#: The settings' own, by which what a fault may repeat is bounded.
MAX_IN_FLIGHT, COMMIT_INTERVAL_S = 256, 1.0


class Fleet:
    """One to three workers that come and go by the dice.

    Args:
        stage: Starts them.
        dice: Decides.
        proxy: What every second worker reaches the broker through; None for no network faults
            and no freezing.
        pause_s: Shortest and longest time between two moves, seconds.
        settings: Of each worker, as for `Stage.start_worker`.
    """

    def __init__(
        self,
        stage: Stage,
        dice: random.Random,
        *,
        proxy: TcpProxy | None = None,
        pause_s: tuple[float, float] = PAUSE_S,
        **settings: Any,
    ) -> None:
        self._stage = stage
        self._settings = settings
        self._dice = dice
        self._proxy = proxy
        self._pause_s = pause_s
        self._alive: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._faults: list[asyncio.Task[None]] = []
        self.moves: Counter[str] = Counter()

    async def churn(self, done: asyncio.Event) -> None:
        """Start with one worker and change the fleet until done; then leave it alone."""
        self.join()
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), self._dice.uniform(*self._pause_s))
            move = self._dice.choice(self._moves())
            self.moves[move.__name__] += 1
            move()
            for worker in self._alive:
                assert worker.alive, f"ended by itself, {worker.exit_code}\n{worker.tail()}"
        await asyncio.gather(*self._faults)

    def join(self) -> None:
        """Start a worker."""
        settings = dict(self._settings)
        if self._proxy is not None and self._dice.random() < 0.5:
            settings["broker"] = self._proxy.url
        self._alive.append(self._stage.start_worker(**settings))

    def freeze(self) -> None:
        """Stop a worker's process for a while."""
        worker = self._dice.choice(self._alive)
        self._faults.append(asyncio.create_task(self._frozen(worker)))

    def cut(self) -> None:
        """Take the network away from the workers behind the proxy for a while."""
        self._faults.append(asyncio.create_task(self._cut()))

    async def _frozen(self, worker: WorkerProcess) -> None:
        with self._stage.cut_off():  # what it was about to ask is asked when it thaws
            worker.sigstop()
            await asyncio.sleep(self._dice.uniform(*FAULT_S))
            if worker.alive:
                worker.sigcont()

    async def _cut(self) -> None:
        assert self._proxy is not None
        with self._stage.cut_off():
            fault = self._dice.choice((self._proxy.cut, self._proxy.stall, self._proxy.freeze))
            fault()
            await asyncio.sleep(self._dice.uniform(*FAULT_S))
            self._proxy.heal()

    def leave(self) -> None:
        """Ask a worker to stop; kill it when it has not even begun to start."""
        worker = self._take()
        if worker.log.stat().st_size:
            worker.sigcont()
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
        moves = [self.leave, self.die] + [self.join] * (len(self._alive) < MOST_ALIVE)
        return moves if self._proxy is None else [*moves, self.freeze, self.cut]


def _records(count: int, dice: random.Random) -> Iterator[Record]:
    for number in range(count):
        latency_s = round(min(3.0, dice.expovariate(1 / 0.2)), 3)
        key = f"key-{dice.randrange(KEYS)}"
        yield ask(f"r-{number}", key, script={"latency_s": latency_s, "unique": True})


async def _run(
    stage: Stage, fleet: Fleet, dice: random.Random, *, records: int, rate_per_s: float
) -> Report:
    """Run to the end and return the judgement."""
    await stage.open()
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.churn(done))
        await stage.produce(_records(records, dice), rate_per_s=rate_per_s)
        done.set()
    report = await stage.settle(records, timeout_s=180)
    await fleet.left_cleanly()
    return report


@pytest.mark.timeout(360)
async def test_nothing_is_lost_while_workers_come_and_go(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One short seed: all answered, in order per key, never committed too early or paid twice."""
    async with Stage(kafka, tmp_path) as stage:
        fleet, dice = Fleet(stage, random.Random(1)), random.Random(1)
        report = await _run(stage, fleet, dice, records=2000, rate_per_s=50)

    assert not report.faults, report


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
async def test_nothing_is_lost_in_long_chaos(
    proxied_kafka: ProxiedKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Ten seeds of 10,000 records each, with freezes and cuts too, to the same judgement.

    Every call of the provider answers otherwise, so that a second answer shows by its content.
    """
    proxy, rate_per_s = proxied_kafka.proxy, 150
    async with proxy, Stage(proxied_kafka.broker, tmp_path, partitions=8, forked=False) as stage:
        fleet = Fleet(stage, random.Random(seed), proxy=proxy)
        report = await _run(
            stage, fleet, random.Random(seed), records=10_000, rate_per_s=rate_per_s
        )

    faults = len(stage.crashes)
    with capsys.disabled():
        sys.stdout.write(f"\nseed {seed}, {faults} faults of {dict(fleet.moves)}: {report}\n")
    assert not report.faults, report
    assert report.repeats <= faults * (MAX_IN_FLIGHT + COMMIT_INTERVAL_S * rate_per_s)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_nothing_is_lost_while_the_group_never_rests(
    kafka: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker starts, stops or dies every half second, faster than any of them can start."""
    async with Stage(kafka, tmp_path, forked=False) as stage:
        fleet = Fleet(stage, random.Random(7), pause_s=(0.1, 0.5))
        report = await _run(stage, fleet, random.Random(7), records=2_000, rate_per_s=50)

    with capsys.disabled():
        sys.stdout.write(f"\n{dict(fleet.moves)}: {report}\n")
    assert not report.faults, report
