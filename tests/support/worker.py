"""Worker processes under test: streamapp's own, and any other program on the same topics."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
STREAMAPP = ("streamapp", "worker")


class WorkerProcess(ChildProcess):
    """`python -m MODULE ARGS` with an environment, a directory and a web port of its own.

    Args:
        directory: Working and data directory; made when missing. `worker.log` lies in it.
        settings: Environment variables of the worker, over the defaults of this module.
        command: Module and arguments; streamapp's worker when not given.
        forked: As of `ChildProcess`.

    Attributes:
        port: Its web port on loopback, the same over restarts.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str],
        *,
        command: Sequence[str] = STREAMAPP,
        forked: bool = True,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STREAMAPP_", "OPENAI_", "OTEL_"))
        }
        defaults = {
            "PYTHONPATH": str(ROOT),
            "STREAMAPP_DATA_DIR": str(directory / "data"),
            "STREAMAPP_SESSION_TIMEOUT_S": "6",
            "STREAMAPP_WEB_PORT": str(self.port),
        }
        super().__init__(
            [sys.executable, "-m", *command],
            log=directory / "worker.log",
            env=inherited | defaults | dict(settings),
            cwd=directory,
            forked=forked,
        )

    async def is_ready(self) -> bool:
        """Whether every check of GET /readyz is ok; a worker that has ended fails the test.

        In a rebalance it answers 200 while some are not.
        """
        assert self.alive, f"ended with {self.exit_code}\n{self.tail()}"
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as response:
                checks = (await response.json())["checks"].values()
                return response.status == 200 and all(check["ok"] for check in checks)
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def is_unready(self) -> bool:
        """Whether the worker says that it takes no records, or says nothing."""
        return not await self.is_ready()

    def has_logged(self, text: str) -> bool:
        """Whether the text is in the log of any run so far."""
        return text in self.log.read_text(errors="replace")

    async def wait_ready(self, timeout_s: float = 120) -> None:
        """Wait until the worker takes records."""
        await until(self.is_ready, timeout_s, state=self.tail)

    async def wait_unready(self, timeout_s: float = 120) -> None:
        """Wait until the worker cannot work."""
        await until(self.is_unready, timeout_s, state=self.tail)
