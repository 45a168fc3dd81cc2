"""A child process under test: own process group, output in a file, signals by name."""

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar, Protocol

from tests.support.forked import ForkServer
from tests.support.waiting import until

# Below the range that the kernel takes for outgoing connections (Linux 32768+, BSD and macOS
# 49152+): a port must stay free while its server is down, also from a client's own connection.
PORTS = range(20_000, 32_000)
#: In an order of this process's own, and none twice in a row: one that was given may not be
#: listened on yet.
_ports = itertools.cycle(random.sample(PORTS, len(PORTS)))
#: As structlog, Faust and Python begin to tell an error.
FIRST_ERROR = re.compile(r"\[(error|critical) +\]|^Traceback ")


def free_port() -> int:
    """Return a loopback port that nothing listens on and no outgoing connection will take."""
    return free_ports(1)[0]


def free_ports(count: int) -> Sequence[int]:
    """Return so many of them, each the next one of the one before it."""
    for first in _ports:
        ports = range(first, first + count)
        if all(_is_free(port) for port in ports):
            return ports
    raise AssertionError("every port is taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Running(Protocol):
    """What is used of `subprocess.Popen`, and a fork has as well."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        ...

    def wait(self) -> int:
        """Block until it ends; return the exit code."""
        ...


class ChildProcess:
    """One run of a program; `start` again is a restart that appends to the same log.

    Args:
        args: The program and its arguments.
        log: File with stdout and stderr of every run.
        env: All of its variables; this process's own where none.
        cwd: Its directory; this process's own where none.
        forked: Whether `python -m MODULE` may be forked from a process that has imported what a
            worker imports. Not where the test is of the start itself, of memory or of CPU.

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
        forked: bool = False,
    ) -> None:
        self.log = log
        self._forked = forked
        self._args = list(args)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._process: Running | None = None

    def start(self, *, output: int | None = None) -> None:
        """Start the program, in a process group of its own.

        Args:
            output: File descriptor for stdout and stderr, in place of the log.
        """
        assert not self.alive, "already running"
        if self._process is None:
            self.started.append(self)
        with self.log.open("ab") as file:
            self._process = self._run(file if output is None else output)

    def _run(self, output: IO[bytes] | int) -> Running:
        if self._forked and sys.platform == "linux":
            env = os.environ if self._env is None else self._env
            cwd = self._cwd or Path.cwd()
            server = ForkServer.running()
            if server.can_start(self._args, env, cwd):
                return server.start(self._args, env=env, cwd=cwd, stdout=output, stderr=output)
        return subprocess.Popen(
            self._args,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
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
        """Return the last lines of the log, for messages, behind its first error and what follows.

        An end that is told by many services has its reason far above.
        """
        if not self.log.exists():
            return f"{self.log}: no log"
        text = self.log.read_text(errors="replace").splitlines()
        above, last = text[:-lines], text[-lines:]
        first = next((n for n, line in enumerate(above) if FIRST_ERROR.search(line)), len(above))
        return "\n".join([f"--- {self.log}", *above[first : first + lines], *last])
