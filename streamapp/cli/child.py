"""A worker as a child process: started, awaited, stopped, and its log kept for when it fails."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import click

from streamapp.cli.group import EXIT_CONFIGURATION
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.telemetry.refusal import reason_in

#: Lines of the log shown when the worker fails.
LAST_LINES = 15


class WorkerProcess:
    """A running ``streamapp worker``.

    Attributes:
        url: Its web address.
        shows_log: Whether its log is copied to stderr from now on.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.url = url
        self.shows_log = False
        self._process = process
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._log = asyncio.create_task(self._read_log())

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once ``/readyz`` answers 200; a worker that ended is not noticed.

        Raises:
            StreamappError: It was not ready in time; the message ends with its log.
        """
        try:
            async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
                # Only asking tells.
                while not await _is_ready(session, f"{self.url}/readyz"):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise self._failed(f"was not ready within {timeout_s:g} s") from None

    async def wait_ended(self) -> None:
        """Block until the worker ends by itself.

        Raises:
            ConfigurationError: It refused its configuration.
            StreamappError: It ended otherwise; the message ends with its log.
        """
        await asyncio.shield(self._log)
        code = await self._process.wait()
        if code == EXIT_CONFIGURATION and self._lines:
            raise ConfigurationError(reason_in(self._lines[-1]))
        raise self._failed(f"ended with exit code {code}")

    async def stop(self, timeout_s: float) -> None:
        """Stop it as an operator would; kill it where it takes longer."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self._log

    def _failed(self, how: str) -> StreamappError:
        return StreamappError("\n  ".join([f"the worker {how}; its last lines:", *self._lines]))

    async def _read_log(self) -> None:
        """Keep the last lines, and show them where asked to; ends with the process."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            if self.shows_log:
                click.echo(text, err=True)


@asynccontextmanager
async def running_worker(settings: Mapping[str, str], *, url: str) -> AsyncIterator[WorkerProcess]:
    """Run a worker inside the block.

    Args:
        settings: Environment variables on top of our own.
        url: Where it will listen.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamapp", "worker"),
        env={**os.environ, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: we stop it while the broker still lives
        limit=16_000_000,  # of one line
    )
    worker = WorkerProcess(process, url)
    try:
        yield worker
    finally:
        await worker.stop(timeout_s=30)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
