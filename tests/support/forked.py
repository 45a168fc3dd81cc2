"""Programs of tests that are forked from a process with all imports done; see `fork_server`."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO, ClassVar, Self

ROOT = Path(__file__).resolve().parents[2]

#: More than the variables and arguments of any start, bytes.
LARGEST = 1 << 17

#: Beginnings of variables that Python, the C library or a module reads at its start or import:
#: where one differs from the server's, a fork would not have heard of it.
READ_AT_START = (
    *("PYTHON", "MALLOC_", "GLIBC_", "LD_", "LANG", "LC_", "SSLKEYLOGFILE"),
    *("FAUST_", "F_", "NO_CYTHON", "DEVLOG", "TYPEXPR_DEBUG", "PYDANTIC_", "CRAMJAM_"),
    *("AIOHTTP_", "AIOKAFKA_", "FROZENLIST_", "MULTIDICT_", "PROPCACHE_", "YARL_"),
    *(
        "OPENAI_API_TYPE",
        "OPENAI_API_VERSION",
        "OPENAI_LOG",
        "AZURE_OPENAI",
        "DEFER_PYDANTIC_BUILD",
    ),
    *("PROMETHEUS_", "prometheus_", "FORCE_COLOR", "NO_COLOR", "_PYTHON"),
)
#: Read at the start as well, and given to each fork by the server.
GIVEN = ("PYTHONPATH",)

_PR_SET_CHILD_SUBREAPER = 36


class Forked:
    """A forked child of this process, with what is used of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._exit_code: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """Block until it ends; return the exit code."""
        code = self._reap(0)
        assert code is not None
        return code

    def _reap(self, options: int) -> int | None:
        with self._lock:
            if self._exit_code is None:
                pid, status = os.waitpid(self.pid, options)
                if pid:
                    self._exit_code = os.waitstatus_to_exitcode(status)
            return self._exit_code


class ForkServer:
    """The server of this test process; it ends with it.

    Args:
        environment: The server's own variables.
    """

    _running: ClassVar[Self | None] = None
    _starting: ClassVar = threading.Lock()

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {n: v for n, v in environment.items() if n not in GIVEN}
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._numbers = count(1)
        self._pids: dict[int, int] = {}
        _adopt_orphans()
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @property
    def _imported(self) -> frozenset[str]:
        """The names of all modules that it has, without their packages' insides.

        Waits until it has imported them.
        """
        with self._lock:
            if not self._names:
                self._names = frozenset(json.loads(self._answer(LARGEST)))
            return self._names

    def _answer(self, size: int) -> bytes:
        answer = self._connection.recv(size)
        assert answer, f"the fork server ended: {self._process.wait()}"
        return answer

    @classmethod
    def running(cls) -> Self:
        """Return the one of this process, which is importing when first asked for."""
        with cls._starting:
            if cls._running is None:
                cls._running = cls(os.environ)
            return cls._running

    def can_start(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> bool:
        """Whether a fork would be what a start of this command is.

        Not where the start would read a variable or option that the imports have read before, or
        find another module than the imported one.
        """
        changed = self.environment.items() ^ env.items()
        path = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
        folders = {cwd, *map(Path, path)} - {ROOT}
        return (
            list(command[:2]) == [sys.executable, "-m"]
            and not {"-L", "--loop", "--datadir"}.intersection(command)  # read by Faust's import
            and not any(n.startswith(READ_AT_START) and n not in GIVEN for n, _ in changed)
            and not any(p.stem in self._imported for folder in folders for p in folder.glob("*"))
        )

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
        stdin: IO[bytes] | None = None,
    ) -> Forked:
        """Fork a child, in a session of its own.

        Args:
            command: This Python, `-m`, a module and its arguments.
            env: All of its variables.
            cwd: Its directory.
            stdout: A file or its descriptor, as the next two.
            stderr: May be the same as `stdout`.
            stdin: Empty where none.
        """
        assert self._imported, "asked before it listens"
        _, _, module, *arguments = command
        number = next(self._numbers)
        start = {"module": module, "arguments": arguments, "env": dict(env), "cwd": str(cwd)}
        request = {"number": number, **start}
        with self._lock, Path(os.devnull).open("rb") as empty:
            files = [
                file if isinstance(file, int) else file.fileno()
                for file in (stdin or empty, stdout, stderr)
            ]
            socket.send_fds(self._connection, [json.dumps(request).encode()], files)
            return Forked(self._child(number))

    def _child(self, number: int) -> int:
        """Return the id of the child of a request, once it can be signalled.

        A child of an earlier one, whose start was interrupted, as by a test's limit, is nobody's.
        """
        while True:
            of, pid = map(int, self._answer(64).split())
            if pid:
                self._pids[of] = pid
            elif of == number:
                return self._pids.pop(of)
            elif left := self._pids.pop(of, 0):
                os.kill(left, signal.SIGKILL)
                os.waitpid(left, 0)

    def close(self) -> None:
        """End it; its children go on."""
        self._connection.close()
        self._process.wait()


def _adopt_orphans() -> None:
    """Become the parent of the server's grandchildren, so that this process can wait for them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
