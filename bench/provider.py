"""The fake provider as a process of its own, and its call log."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support.process import ChildProcess, free_port

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Provider:
    """A running provider.

    Attributes:
        session: For HTTP to anything on this machine.
        port: Where it listens.
    """

    session: aiohttp.ClientSession
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def calls(self) -> int:
        """Return how many calls came so far."""
        return int((await self._get("/_calls/count"))["total"])

    async def most_calls(self) -> int:
        """Return how many calls were in progress at once, at most."""
        return int((await self._get("/_calls/count"))["max_in_flight"])

    async def refused(self) -> int:
        """Return how many calls it answered with 429."""
        return int((await self._get("/_calls/count"))["by_status"].get("429", 0))

    async def call_times_s(self) -> list[float]:
        """Return when each call came, by the wall clock, ascending."""
        to_wall_s = time.time() - time.monotonic()
        return [float(call["at_s"]) + to_wall_s for call in await self._get("/_calls")]

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            await self.calls()
        except aiohttp.ClientError:
            return False
        return True

    async def _get(self, path: str) -> Any:
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as reply:
            return orjson.loads(await reply.read())


@contextlib.asynccontextmanager
async def provider(
    latency_s: float, *, limit_per_s: float | None = None, log: Path
) -> AsyncIterator[Provider]:
    """Start a provider that takes ``latency_s`` for each call; end it afterwards.

    Args:
        latency_s: Of each call.
        limit_per_s: Requests above it are answered with 429, beyond a burst of a tenth of a
            second; None = none are.
        log: Where its output goes.
    """
    port = free_port()
    words = ["--port", str(port), "--latency-s", str(latency_s)]
    if limit_per_s:
        words += ["--rate-per-s", str(limit_per_s), "--burst", str(max(1, limit_per_s / 10))]
    process = ChildProcess(
        [sys.executable, "-m", "tests.support.fakellm", *words], log=log, cwd=ROOT
    )
    process.start()
    try:
        async with aiohttp.ClientSession() as session:
            running = Provider(session, port)
            async with asyncio.timeout(30):
                while not await running.is_up():  # noqa: ASYNC110  # a port has no event
                    await asyncio.sleep(0.05)
            yield running
    finally:
        process.kill9()
