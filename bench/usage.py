"""What a process has used so far, read from ``/proc`` at fixed times."""

import asyncio
import os
import time
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_UTIME, _STIME, _RSS_PAGES = 11, 12, 21  # after the command's closing bracket, see proc(5)


class Sample(NamedTuple):
    """One look: wall clock, CPU seconds since the start (user + system), resident memory."""

    at_s: float
    cpu_s: float
    rss_mb: float


class UsageLog:
    """Samples of one process, in order of time.

    Args:
        pid: The process; its threads count, its children do not.
        every_s: Time between two samples; the kernel counts in ticks of 10 ms.
    """

    def __init__(self, pid: int, *, every_s: float = 0.05) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._every_s = every_s
        self.samples: list[Sample] = []

    async def follow(self) -> None:
        """Take samples until the process has ended."""
        while self.take():  # noqa: ASYNC110  # nothing tells of a process but looking
            await asyncio.sleep(self._every_s)

    def take(self) -> bool:
        """Take one sample; False when the process has ended."""
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        cpu_s = (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK_S
        self.samples.append(Sample(time.time(), cpu_s, int(fields[_RSS_PAGES]) * _PAGE_MB))
        return fields[0] != "Z"

    def cpu_between(self, start_s: float, end_s: float) -> float:
        """Return the CPU seconds used between two times of the wall clock."""
        return self._cpu_at(end_s) - self._cpu_at(start_s)

    def peak_mb(self, end_s: float = float("inf")) -> float:
        """Return the largest memory seen up to ``end_s``."""
        return max(sample.rss_mb for sample in self.samples if sample.at_s <= end_s)

    def rss_mb_at(self, at_s: float) -> float:
        """Return the memory at the first sample not before ``at_s``."""
        return self.samples[min(self._index(at_s), len(self.samples) - 1)].rss_mb

    def _cpu_at(self, at_s: float) -> float:
        index = self._index(at_s)
        if index == 0 or index == len(self.samples):
            return self.samples[min(index, len(self.samples) - 1)].cpu_s
        before, after = self.samples[index - 1], self.samples[index]
        part = (at_s - before.at_s) / (after.at_s - before.at_s)
        return before.cpu_s + part * (after.cpu_s - before.cpu_s)

    def _index(self, at_s: float) -> int:
        return bisect_left(self.samples, at_s, key=lambda sample: sample.at_s)
