"""A process that was stopped is told from one whose code kept the interpreter's lock."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from streamapp.standstills import Standstills, switches_of
from tests.fakes import FakeClock

#: Elsewhere nothing is told of a thread, and `Standstills` finds nothing by design: the tests with
#: a fake system cover that on every system.
on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux counts the switches of a thread"
)


class Thread:
    """A thread that sleeps for half a second, and its switches."""

    def __init__(self, *, is_told: bool = True) -> None:
        self.clock = FakeClock()
        self.switches: int | None = 7 if is_told else None
        self.standstills = Standstills(self.clock, switches=lambda native_id: self.switches)
        self.began = self.clock()
        self.standstills.sleeps(0.5)

    def wakes(self, late_s: float, *, waits_s: float = 0.0) -> None:
        """Wake so late, after so many seconds of looking for the lock."""
        self.clock.advance(0.5 + late_s)
        if self.switches is not None:
            self.switches += round(waits_s / sys.getswitchinterval())


@pytest.mark.parametrize(
    ("late_s", "waits_s", "stood_s"),
    [
        pytest.param(0, 0, 0, id="in time"),
        pytest.param(9, 9, 0, id="the lock was kept"),
        pytest.param(9, 3, 0, id="the lock was kept, on a loaded machine"),
        pytest.param(9, 0.01, 9, id="stopped"),
        pytest.param(20, 2, 18, id="stopped after the lock was kept"),
    ],
)
def test_late_thread_tells_what_it_did(late_s: float, waits_s: float, stood_s: float) -> None:
    """One that waited for the lock was busy looking for it."""
    thread = Thread()
    thread.wakes(late_s, waits_s=waits_s)

    assert thread.standstills.since(thread.began) == pytest.approx(stood_s, abs=0.1)


def test_standstill_counts_once_and_for_what_it_met() -> None:
    """Two threads may ask, and what began afterwards was not held up by it."""
    thread = Thread()
    thread.wakes(9)
    assert [round(thread.standstills.since(thread.began)) for _ in range(2)] == [9, 9]
    thread.standstills.sleeps(0.5)

    after = thread.clock()
    thread.wakes(20)

    assert thread.standstills.since(after) == pytest.approx(20)
    assert thread.standstills.since(thread.began) == pytest.approx(29)


def test_system_that_tells_nothing_has_no_standstills() -> None:
    """There the record is to blame, as it was before."""
    thread = Thread(is_told=False)
    thread.wakes(9)

    assert thread.standstills.since(thread.began) == 0


PROGRAM = """
import ctypes, threading, time
from streamapp.standstills import Standstills

standstills, began = Standstills(time.monotonic), time.monotonic()
asleep = threading.Event()

def watch():
    while True:
        standstills.sleeps(0.1)
        asleep.set()
        time.sleep(0.1)
        standstills.since(began)

thread = threading.Thread(target=watch, daemon=True)
thread.start()
asleep.wait()
print("ready", flush=True)
{block}
print(standstills.since(began), time.monotonic() - began, flush=True)
"""


@on_linux
def test_program_that_keeps_the_lock_does_not_stand_still() -> None:
    """The interpreter's own looks for the lock are seen."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(block="ctypes.PyDLL(None).sleep(2)")],
        capture_output=True,
        text=True,
        check=True,
    )

    stood_s, took_s = map(float, ran.stdout.split()[1:])
    assert stood_s == 0
    assert took_s >= 2


@on_linux
def test_program_that_was_stopped_stood_still() -> None:
    """A step that began before the freeze and ends after it took none of that time."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(block="while time.monotonic() - began < 1: pass")],
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.pid, os.WSTOPPED)
        time.sleep(2)  # the length of the freeze
        program.send_signal(signal.SIGCONT)
        stood_s, took_s = map(float, program.stdout.read().split())

    assert took_s - stood_s < took_s / 2


@on_linux
def test_switches_are_those_of_the_thread() -> None:
    """Each wait is one, and a thread that is none has no count."""
    before = switches_of(threading.get_native_id())
    time.sleep(0.001)
    after = switches_of(threading.get_native_id())

    assert before is not None
    assert after is not None
    assert after > before
    assert switches_of(0) is None


@on_linux
def test_thread_is_told_of_itself_what_others_are_told_of_it() -> None:
    """It asks the system for its own count; who stands beside it reads a file."""
    own: list[tuple[int, int | None]] = []
    asked, ended = threading.Event(), threading.Event()

    def ask() -> None:
        for _ in range(400):  # one that is over before it has begun is no switch
            ended.wait(0.001)
        own.append((threading.get_native_id(), switches_of(threading.get_native_id())))
        asked.set()
        ended.wait()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert asked.wait(30)
        native_id, switches = own[0]
        seen = switches_of(native_id)
    finally:
        ended.set()
        thread.join()

    assert switches is not None
    assert seen is not None
    assert switches >= 200
    assert 0 <= seen - switches < 100
