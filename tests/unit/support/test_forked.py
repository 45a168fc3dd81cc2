"""A fork is what a start of the same command is."""

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import GIVEN, READ_AT_START, ROOT, Forked, ForkServer
from tests.support.process import ChildProcess
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(90)

PROBE = """
import asyncio, atexit, decimal, gc, json, locale, logging, os, resource, signal, sys, threading
import warnings
atexit.register(print, "at exit")
handlers = {str(n): str(signal.getsignal(n)).split(" at ")[0] for n in signal.valid_signals()}
print(json.dumps({
    "name": __name__, "file": __file__, "main": sys.modules["__main__"].__name__,
    "argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path,
    "files": sorted(os.listdir("/proc/self/fd")), "parent": os.getppid(),
    "leads": os.getpid() == os.getpgid(0) == os.getsid(0), "handlers": handlers,
    "mask": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "gc": gc.get_threshold(),
    "collects": gc.isenabled(), "threads": threading.active_count(), "umask": os.umask(0),
    "limits": [resource.getrlimit(n) for n in range(10)], "locale": locale.setlocale(0),
    "loops": type(asyncio.get_event_loop_policy()).__module__, "nice": os.nice(0),
    "loggers": [logging.root.level, len(logging.root.handlers)], "flags": str(sys.flags),
    "streams": [(s.encoding, s.errors, s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "input": sys.stdin.read(), "precision": decimal.getcontext().prec,
}))
"""
EXITS = {
    "ends": ("", 0),
    "exits": ("raise SystemExit(3)", 3),
    "says": ("raise SystemExit('why')", 1),
    "raises": ("raise ValueError('why')", 1),
    "leaves": ("import os; print(flush=True); os._exit(4)", 4),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
    "terminated": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    "interrupted": ("import os, signal; os.kill(os.getpid(), signal.SIGINT); input()", -2),
}


def child(directory: Path, program: str, *arguments: str, forked: bool = True) -> ChildProcess:
    """Return a child that runs the program as a module of its directory."""
    (directory / "probe.py").write_text(program)
    return ChildProcess(
        [sys.executable, "-m", "probe", *arguments],
        log=directory / f"log-{forked}",
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "STREAMAPP_MODEL": "m"},
        cwd=directory,
        forked=forked,
    )


async def ended(process: ChildProcess) -> str:
    """Run it to its end; return what it wrote."""
    process.start()
    try:
        await process.wait(60)
    finally:
        process.kill9()
    return process.log.read_text()


async def test_a_fork_finds_what_a_start_finds(tmp_path: Path) -> None:
    """Arguments, variables, files, signals, limits, parent: nothing tells the two apart."""
    found: list[dict[str, Any]] = []
    for forked in (False, True):
        line, *rest = (await ended(child(tmp_path, PROBE, "--x", "1", forked=forked))).splitlines()
        assert rest == ["at exit"]
        found.append(json.loads(line))

    started, fork = found
    assert fork == started
    assert fork["parent"] == os.getpid()


@pytest.mark.parametrize("name", EXITS)
async def test_a_fork_ends_as_a_start_does(name: str, tmp_path: Path) -> None:
    """Its exit code is the same, and the last line that it writes."""
    program, code = EXITS[name]
    last = []
    for forked in (False, True):
        process = child(tmp_path, program, forked=forked)
        last.append((await ended(process)).splitlines()[-1:])
        assert process.exit_code == code

    assert last[0] == last[1]


async def test_a_fork_has_been_imported_for(tmp_path: Path) -> None:
    """It is a fork: what a worker imports is there, and no event loop was made."""
    program = "import sys; print('faust' in sys.modules, 'streamapp.app' in sys.modules)"

    assert await ended(child(tmp_path, program)) == "True False\n"


async def test_two_forks_share_no_random_numbers(tmp_path: Path) -> None:
    """Neither Python's nor the operating system's: ids and pauses differ."""
    program = "import random, uuid; print(random.random(), uuid.uuid4())"
    first = await ended(child(tmp_path, program))

    assert not set(first.split()) & set((await ended(child(tmp_path, program))).split()[2:])


def test_a_fork_can_be_killed_at_once(tmp_path: Path) -> None:
    """It leads its group when its start returns, as any child does."""
    for _ in range(20):
        process = child(tmp_path, "input()")
        process.start()
        assert os.getpgid(process.pid) == os.getsid(process.pid) == process.pid
        process.kill9()
        assert process.exit_code == -signal.SIGKILL


class Limit(Exception):
    """Of a test's time."""


def test_a_start_that_was_interrupted_leaves_no_child_to_the_next(tmp_path: Path) -> None:
    """The next one gets a process of its own, and that of the interrupted one is ended."""
    (tmp_path / "probe.py").write_text(
        "import os, sys, time; print(os.getpid(), flush=True); time.sleep(float(sys.argv[1]))"
    )
    server, log = ForkServer(os.environ), (tmp_path / "log").open("w+b")

    def start(sleeps_s: str) -> Forked:
        command = [sys.executable, "-m", "probe", sleeps_s]
        return server.start(command, env=os.environ, cwd=tmp_path, stdout=log, stderr=log)

    def ends(*_: object) -> None:
        raise Limit

    assert start("0").wait() == 0
    before = children()
    earlier = signal.signal(signal.SIGALRM, ends)
    os.kill(server._process.pid, signal.SIGSTOP)  # so that it is asked, and does not answer
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Limit):
            start("600")
    finally:
        signal.signal(signal.SIGALRM, earlier)
        os.kill(server._process.pid, signal.SIGCONT)
    log.truncate(0)
    second = start("0")

    assert second.wait() == 0
    assert children() == before
    server.close()
    log.close()
    assert str(second.pid) in (tmp_path / "log").read_text()


def children() -> set[int]:
    """Return the ids of this process's children."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if file.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(file.parent.name))
    return found


async def test_signals_reach_the_group_of_a_fork(tmp_path: Path) -> None:
    """Frozen, continued, then killed with its own child, all from here."""
    process = child(
        tmp_path,
        "import subprocess, sys\n"
        "inner = subprocess.Popen(['sleep', '600'])\n"
        "print(inner.pid, flush=True)\n"
        "inner.wait()",
    )
    process.start()
    try:
        await until(lambda: process.logged_lines == 1, 60)
        inner = int(process.log.read_text())

        process.sigstop()
        await until(lambda: state(process.pid) == state(inner) == "T", 30)
        process.sigcont()
        await until(lambda: state(process.pid) == state(inner) == "S", 30)
        assert process.alive
    finally:
        process.kill9()

    assert process.exit_code == -signal.SIGKILL
    await until(lambda: state(inner) in "XZ", 30)


def state(pid: int) -> str:
    """Return the letter of a process's state; X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def test_what_is_read_at_a_start_is_not_forked(tmp_path: Path) -> None:
    """A variable or option that imports read, and a command that is no module of this Python."""
    server = ForkServer.running()
    module = [sys.executable, "-m", "streamapp", "worker"]
    same = dict(server.environment)

    def can_start(command: Sequence[str], **changed: str) -> bool:
        return server.can_start(command, same | changed, tmp_path)

    assert can_start(module, PYTHONPATH=str(ROOT), STREAMAPP_MODEL="m")
    assert not can_start(module, PYTHONASYNCIODEBUG="1")
    assert not can_start(module, MALLOC_ARENA_MAX="1")
    assert not can_start([*module, "--loop", "aio"])
    assert not can_start([sys.executable, "-c", "pass"])
    assert not can_start(["java", "-m", "streamapp"])


@pytest.mark.parametrize("name", ["streamapp", "aiohttp.py"])
def test_another_version_of_a_module_is_not_forked(name: str, tmp_path: Path) -> None:
    """A start would find it on PYTHONPATH or in its directory; a fork has the imported one."""
    server = ForkServer.running()
    module = [sys.executable, "-m", "streamapp", "worker"]
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / name).touch()
    path = {"PYTHONPATH": f"{tmp_path / 'older'}:{ROOT}"}

    assert not server.can_start(module, server.environment | path, tmp_path)
    assert not server.can_start(module, server.environment, tmp_path / "older")


def test_imports_read_no_other_variable() -> None:
    """Each variable that is read while the server imports is one that no fork may differ in."""
    program = """
import os, sys
read, get = set(), os._Environ.__getitem__
def recorded(self, name):
    # Who goes over all variables, or copies them for `uname`, asks for none.
    code = sys._getframe(1).f_code
    if code.co_name != "__iter__" and not code.co_filename.endswith("/platform.py"):
        read.add(name)
    return get(self, name)
os._Environ.__getitem__ = recorded
from tests.support.fork_server import import_all
import_all()
print(sorted(read))
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True
    )
    read = ast.literal_eval(printed.stdout.decode())

    assert "FAUST_LOOP" in read
    known = (*READ_AT_START, *GIVEN, "HOME")
    assert [name for name in read if not name.startswith(known)] == []
