"""The clock of a process counts what it stood still for as nothing."""

import asyncio
import time
from random import Random

import pytest

from streamapp.running_clock import RunningClock, boot_time_s
from tests.fakes import FakeClock
from tests.support.virtual_time import VirtualLoop, run_virtually, virtual_clock


def test_all_time_counts_without_beats() -> None:
    """A command has no loop that tells it whether it stood still."""
    clock = FakeClock()
    running = RunningClock(clock)
    clock.advance(3_600)

    assert running() == clock()
    assert running.stood_s == 0


def test_pause_between_two_beats_counts_for_little() -> None:
    """Neither before the next beat nor after it has the time of a freeze passed."""
    clock = FakeClock()
    running = RunningClock(clock, most_s=1)
    running.beat()
    before = running()

    clock.advance(60)
    assert running() - before == 1
    running.beat()
    assert running() - before == 1
    assert running.stood_s == 59
    clock.advance(0.5)
    assert running() - before == 1.5


def test_what_stood_still_once_is_no_more_later() -> None:
    """Who compares it with what it was is told of a standstill, and of no rounding."""
    clock = FakeClock(1_000 / 3)
    running = RunningClock(clock, most_s=1)
    running.beat()
    clock.advance(50 / 7)
    running.beat()
    seen = set()
    dice = Random(1)
    for _ in range(2_000):
        clock.advance(dice.random() * 0.3)
        seen.add(running.stood_s)
        running.beat()

    (stood_s,) = seen
    assert stood_s == pytest.approx(50 / 7 - 1)


def test_late_beats_of_a_busy_loop_lose_nothing() -> None:
    """A loop whose turns are long is no process that stands still."""
    clock = FakeClock()
    running = RunningClock(clock, most_s=1)
    running.beat()
    before = running()

    for _ in range(100):
        clock.advance(0.9)
        running.beat()

    assert running() - before == pytest.approx(90)
    assert running.stood_s == pytest.approx(0)


def test_loop_keeps_it_until_the_end() -> None:
    """What the loop does not see does not count while it is kept, and all does afterwards."""

    async def scene() -> None:
        running = RunningClock(virtual_clock)
        keeping = asyncio.ensure_future(running.keep())
        await asyncio.sleep(100)
        assert running() == pytest.approx(100)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.freeze(1_000)
        await asyncio.sleep(50)
        assert running() == pytest.approx(150, abs=1)
        keeping.cancel()
        await asyncio.wait([keeping])
        loop.freeze(1_000)
        assert running() == pytest.approx(1_150, abs=1)

    run_virtually(scene())


def test_clock_counts_the_machines_sleep() -> None:
    """It is that of the boot, which is never behind the one that stops in a sleep."""
    assert boot_time_s() >= time.monotonic() - 1
