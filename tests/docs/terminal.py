"""A shell as a reader has it: what is typed runs in one bash, one after the other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_DONE = "__typed__"


class Terminal:
    """A bash and what it shows.

    Attributes:
        output: All that was shown so far, stdout and stderr.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.output = ""
        self._process = process
        self._typed = process.stdin
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read(process.stdout))

    def start(self, text: str) -> None:
        """Type the text and do not wait for its end."""
        self._typed.write(text.encode() + b"\n")

    async def type(self, text: str) -> str:
        """Type the text, wait for its end, and return what was shown meanwhile.

        Raises:
            AssertionError: A command failed or did not end.
        """
        before = len(self.output)
        self.start(f"{text}\necho {_DONE}")
        await self.see(f"{_DONE}\n", after=before)
        self.output = self.output.replace(f"{_DONE}\n", "")
        return self.output[before:]

    async def see(self, text: str, *, after: int = 0, timeout_s: float = 120) -> None:
        """Wait until the text was shown.

        Raises:
            AssertionError: It was not, in time or before the shell's end.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while text not in self.output[after:] and not self._reading.done():
                    self._changed.clear()
                    await self._changed.wait()
        assert text in self.output[after:], f"not shown: {text}\n{self.output[after:]}"

    async def end(self, number: signal.Signals, *, timeout_s: float = 90) -> bool:
        """Send a signal to all that was started here, as Ctrl-C does; return whether all ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        # No process holds the output any more.
        await asyncio.wait({self._reading}, timeout=timeout_s)
        return self._reading.done()

    async def _read(self, shown: asyncio.StreamReader) -> None:
        while chunk := await shown.read(65_536):
            self.output += chunk.decode(errors="replace")
            self._changed.set()
        await self._process.wait()
        self._changed.set()


@asynccontextmanager
async def opened(directory: Path, environment: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Yield a terminal that ends at the first command that fails, and all it started with it."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e"),
        cwd=directory,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    terminal = Terminal(process)
    try:
        yield terminal
    finally:
        if not await terminal.end(signal.SIGTERM):
            await terminal.end(signal.SIGKILL)
