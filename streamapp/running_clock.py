"""Two clocks: one that nothing stops, and one of the time that the process itself runs.

A process that is frozen, starved or on a machine that sleeps hears nothing, and then finds every
time-out past. What it stood still for is neither its provider's fault nor its record's.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable
from functools import partial

#: That of macOS; the one of Python's own monotonic clock stops while the machine sleeps.
_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC

#: How often the loop's clock is told that the loop runs, seconds.
BEAT_S = 0.25
#: The most that counts between two beats, seconds: a busy loop is late by less.
MOST_S = 1.0


#: Seconds of a clock that nothing sets and that also runs while the machine sleeps.
boot_time_s: Callable[[], float] = partial(time.clock_gettime, _CLOCK)


class RunningClock:
    """Seconds in which the beats came, and no more than ``most_s`` of a pause between two.

    Without beats it is as ``raw``: nobody tells whether anything stood still. It can be read in
    any thread.

    Args:
        raw: Monotonic seconds.
        most_s: The most that counts between two beats, seconds.
    """

    __slots__ = ("_most_s", "_raw", "_span")

    def __init__(self, raw: Callable[[], float] = boot_time_s, *, most_s: float = MOST_S) -> None:
        self._raw = raw
        self._most_s = most_s
        #: Until when all counts, by `raw`, and what did not before the last beat; together, so that
        #: no thread sees half of a beat.
        self._span = (math.inf, 0.0)

    def __call__(self) -> float:
        """Return the time, seconds."""
        # Read several times a record: written out, and without `min`, which takes half of it.
        now = self._raw()
        until, stood_s = self._span
        return (now if now < until else until) - stood_s

    @property
    def stood_s(self) -> float:
        """Seconds that did not count, ever; the same number as long as nothing stands still."""
        return self.read()[1]

    def read(self) -> tuple[float, float]:
        """Return the time, and the seconds that did not count until then."""
        now = self._raw()
        until, stood_s = self._span
        if now <= until:
            return now - stood_s, stood_s
        return until - stood_s, stood_s + (now - until)

    def beat(self) -> None:
        """Note that the process runs; until the next beat no more than ``most_s`` counts."""
        now = self._raw()
        until, stood_s = self._span
        self._span = (now + self._most_s, stood_s + max(0.0, now - until))

    async def keep(self, every_s: float = BEAT_S) -> None:
        """Beat with the loop that runs this, until cancelled; then all counts again."""
        try:
            while True:
                self.beat()
                await asyncio.sleep(every_s)
        finally:
            self.beat()
            self._span = (math.inf, self._span[1])
