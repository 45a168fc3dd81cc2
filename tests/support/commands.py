"""Commands of streamapp that a test runs to their end, forked as its workers are."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.support.forked import ForkServer
from tests.support.process import Running
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
#: Longest run of a command, seconds: it only ends what hangs.
LIMIT_S = 200


class Ended(NamedTuple):
    """A command's end."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """What it printed, one line of JSON each."""
        return [json.loads(line) for line in self.out.splitlines()]


async def streamapp(*arguments: str, env: Mapping[str, str], stdin: bytes = b"") -> Ended:
    """Run a command of streamapp in a process of its own.

    Args:
        arguments: The command and its own arguments.
        env: Its variables over those of this process.
        stdin: All that it reads.

    Raises:
        TimeoutError: It did not end.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        given, out, err = files
        given.write(stdin)
        given.seek(0)
        process = _started(
            [sys.executable, "-m", "streamapp", *arguments],
            {**os.environ, "PYTHONPATH": str(ROOT), **env},
            files,
        )
        stack.callback(_killed, process)
        await until(lambda: process.poll() is not None, LIMIT_S, state=lambda: _read(err))
        return Ended(process.wait(), _read(out), _read(err))


def _started(command: list[str], env: Mapping[str, str], files: Sequence[IO[bytes]]) -> Running:
    stdin, stdout, stderr = files
    cwd = Path.cwd()
    if sys.platform == "linux" and (server := ForkServer.running()).can_start(command, env, cwd):
        return server.start(command, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
    return subprocess.Popen(
        command, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
    )


def _killed(process: Running) -> None:
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
