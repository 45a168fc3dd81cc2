"""A child process under test: own process group, output in a file, signals by name."""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from tests.support.waiting import until

# Below the range that the kernel takes for outgoing connections (Linux 32768+, BSD and macOS
# 49152+): a port must stay free while its server is down, also from a client's own connection.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a loopback port that nothing listens on and no outgoing connection will take."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class ChildProcess:
    """One run of a program; `start` again is a restart that appends to the same log.

    Attributes:
        log: File with stdout and stderr of every run.
        started: All of this process, in the order of their first start.
    """

    started: ClassVar[list["ChildProcess"]] = []

    def __init__(
        self,
        args: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        self._args = list(args)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, output: int | None = None) -> None:
        """Start the program, in a process group of its own.

        Args:
            output: File descriptor for stdout and stderr, in place of the log.
        """
        assert not self.alive, "already running"
        if self._process is None:
            self.started.append(self)
        with self.log.open("ab") as file:
            log: IO[bytes] | int = file if output is None else output
            self._process = subprocess.Popen(
                self._args,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, also the id of its group."""
        assert self._process is not None, "never started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def cpu_s(self) -> float:
        """CPU seconds that it has used, all threads, user and system; in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals) -> None:
        """Send the signal to the whole group; nothing happens when it has ended."""
        if self.alive:
            os.killpg(self.pid, number)

    def sigterm(self) -> None:
        """Ask it to stop."""
        self.signal(signal.SIGTERM)

    def sigstop(self) -> None:
        """Freeze it: its connections stay open and nothing answers."""
        self.signal(signal.SIGSTOP)

    def sigcont(self) -> None:
        """Let a frozen one go on."""
        self.signal(signal.SIGCONT)

    def kill9(self) -> None:
        """Kill it at once and reap it."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    async def wait(self, timeout_s: float) -> int:
        """Wait for its end after `start` and return the exit code.

        Raises:
            TimeoutError: Still running after `timeout_s`; the message holds the log's tail.
        """
        await until(lambda: not self.alive, timeout_s, state=self.tail)
        assert self.exit_code is not None
        return self.exit_code

    @property
    def logged_lines(self) -> int:
        """Lines in the log, over every run."""
        return self.log.read_bytes().count(b"\n")

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log, for messages."""
        if not self.log.exists():
            return f"{self.log}: no log"
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.log}", *text[-lines:]])
