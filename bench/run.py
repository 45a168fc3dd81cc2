"""One run of one program, watched from outside: its process, its topics, its provider."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from bench.contestants import Contestant, Place
from bench.hotspots import Hotspots
from bench.profiled import TOGGLE
from bench.provider import ROOT, Provider
from bench.result import Result
from bench.usage import UsageLog
from bench.verdict import Topics, Verdict
from bench.workloads import Workload
from tests.support.process import ChildProcess

STALLED_S = 60.0
STOP_S = 120.0
POLL_S = 0.2
REST_S = 1.0


class RunFailed(Exception):
    """The program ended early or stopped answering; the message holds its log's tail."""


class Run:
    """One worker process from its start to its end, seen from outside."""

    def __init__(
        self,
        contestant: Contestant,
        place: Place,
        workload: Workload,
        *,
        provider: Provider,
        topics: Topics,
    ) -> None:
        self._contestant = contestant
        self._place = place
        self._workload = workload
        self._provider = provider
        self._topics = topics
        self._is_profiled = False
        self._is_profiling = False
        self._written_s: dict[int, float] = {}

    async def start(self, *, profile: bool = False) -> None:
        """Start the process and watch its usage."""
        self._is_profiled = profile
        wrapper = ["bench.profiled", str(self._profile)] if profile else []
        self._process = ChildProcess(
            [sys.executable, "-m", *wrapper, *self._contestant.command(self._place)],
            log=self._place.folder / "worker.log",
            env=_clean_environment() | self._contestant.environment(self._place),
            cwd=self._place.folder,
        )
        self._started_s = time.time()
        self._process.start()
        self._usage = UsageLog(self._process.pid)
        self._following = asyncio.create_task(self._usage.follow())

    async def finish(self, report: Callable[[int], None]) -> None:
        """Wait until every record has its response or dead letter."""
        done, changed_s = 0, time.monotonic()
        if self._is_profiled and not self._is_profiling:
            await self._until(self._has_called)
            self._profile_on()
        while done < self._workload.records:
            await asyncio.sleep(POLL_S)
            before, done = done, await self._done()
            report(done)
            if done != before:
                changed_s = time.monotonic()
            self._check(changed_s)
        if self._is_profiled:
            self._process.signal(TOGGLE)
            await self._until(self._has_profile)

    def _profile_on(self) -> None:
        self._process.signal(TOGGLE)
        self._is_profiling = True

    def wrote(self, number: int) -> None:
        """Note when a record is written, of those that are while the program runs."""
        self._written_s[number] = time.time()

    async def takes_records(self) -> None:
        """Wait until the program takes records."""
        if self._contestant.has_probe:
            await self.ready()
        else:
            await self._until(lambda: self._topics.has_members(self._place.prefix))
        if self._is_profiled:
            self._profile_on()

    async def rest(self) -> None:
        """Leave the program alone for a moment, so that its memory at rest is seen."""
        await asyncio.sleep(REST_S)

    async def ready(self) -> float:
        """Wait for readiness; return the seconds since the start."""
        url = f"http://127.0.0.1:{self._place.web_port}/readyz"

        async def is_ready() -> bool:
            try:
                async with self._provider.session.get(url) as reply:
                    return reply.status == 200
            except aiohttp.ClientError:
                return False

        await self._until(is_ready)
        return time.time() - self._started_s

    async def holds(self, partitions: int) -> bool:
        """Whether the worker takes records from that many partitions."""
        self._check(time.monotonic())
        url = f"http://127.0.0.1:{self._place.web_port}/v1/workers"
        try:
            async with self._provider.session.get(url) as reply:
                now = (await reply.json())["workers"][0]["now"]
        except (aiohttp.ClientError, LookupError):
            return False
        return bool(now["ready"] and len(now["partitions"]) == partitions)

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        self._rest_mb = self._usage.samples[-1].rss_mb if self._usage.samples else 0.0
        self._process.sigterm()
        try:
            return await self._process.wait(STOP_S)
        except TimeoutError:
            self._process.kill9()
            return -9
        finally:
            await self._following

    async def result(self, *, of_records: int, exit_code: int) -> Result:
        """Read the topics and the provider's log; the process has ended."""
        verdict = Verdict.of(self._workload, await self._topics.answers(self._place.responses))
        if not verdict.times_s:
            raise RunFailed(f"no record was answered\n{self._process.tail()}")
        called_s = await self._provider.call_times_s()
        first_s, last_s = called_s[0], verdict.times_s[-1]
        took_ms = [
            1_000 * (verdict.answered_s[number] - at_s)
            for number, at_s in sorted(self._written_s.items())
            if number in verdict.answered_s
        ]
        return Result(
            contestant=self._contestant.name,
            title=self._contestant.title,
            workload=self._workload.name,
            records=self._workload.records,
            of_records=of_records,
            work_s=last_s - first_s,
            cpu_s=self._usage.cpu_between(first_s, last_s),
            peak_mb=self._usage.peak_mb(last_s),
            rss_mb=[round(self._usage.rss_mb_at(at_s)) for at_s in _tenths(verdict.times_s)],
            called_s=[round(at_s - first_s, 2) for at_s in _tenths(called_s)],
            answered_s=[round(at_s - first_s, 2) for at_s in _tenths(verdict.times_s)],
            ready_s=first_s - self._started_s,
            first_answer_s=verdict.times_s[0] - self._started_s,
            rest_mb=self._rest_mb,
            p50_ms=_percentile(sorted(took_ms), 50),
            p99_ms=_percentile(sorted(took_ms), 99),
            slowest_ms=_slowest(took_ms),
            calls=len(called_s),
            refused=await self._provider.refused(),
            order_breaks=verdict.order_breaks,
            missing=verdict.missing,
            duplicates=verdict.duplicates,
            dead_letters=await self._topics.count(self._place.dead_letters),
            exit_code=exit_code,
        )

    def hotspots(self) -> Hotspots:
        """Return what the profile says."""
        return Hotspots.read(self._profile, records=self._workload.records)

    @property
    def _profile(self) -> Path:
        return self._place.folder / "worker.profile.json"

    async def _done(self) -> int:
        responses = await self._topics.count(self._place.responses)
        return responses + await self._topics.count(self._place.dead_letters)

    async def _has_called(self) -> bool:
        return await self._provider.calls() > 0

    async def _has_profile(self) -> bool:
        return self._profile.exists()

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        since_s = time.monotonic()
        while not await holds():
            self._check(since_s)
            await asyncio.sleep(0.05)

    def _check(self, changed_s: float) -> None:
        if not self._process.alive:
            raise RunFailed(f"exit code {self._process.exit_code}\n{self._process.tail()}")
        if time.monotonic() - changed_s > STALLED_S:
            raise RunFailed(f"no answer for {STALLED_S:.0f} s\n{self._process.tail()}")


def _percentile(ascending: list[float], percent: int) -> float | None:
    """Return the smallest value that so many of the values do not exceed; None of none."""
    if not ascending:
        return None
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]


def _slowest(took_ms: list[float]) -> list[int]:
    """Return the largest of each tenth, of fewer where there are fewer values."""
    size = max(1, -(-len(took_ms) // 10))
    return [round(max(took_ms[at : at + size])) for at in range(0, len(took_ms), size)]


def _tenths(times_s: list[float]) -> list[float]:
    """Return the time of the last one of each tenth."""
    return [times_s[max(0, len(times_s) * tenth // 10 - 1)] for tenth in range(1, 11)]


def _clean_environment() -> dict[str, str]:
    """Return ours without what would configure the worker, and with this repository's modules."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STREAMAPP_", "OPENAI_"))
    }
    return mine | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
