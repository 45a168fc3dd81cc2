"""Programs that are MCP servers, and do not end as they should."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from streamapp.settings.mcp import McpSettings
from streamapp.tools.mcp_program import program_streams
from streamapp.tools.mcp_server import McpServer
from tests.support.mcp_serving import ROOT
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

#: Says its process in a file, and goes on whatever becomes of its streams.
DEAF = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(3600)
"""
#: Leaves its output to a process of another session, as a daemon that it starts.
LEAVES = """
import pathlib, subprocess, sys
daemon = subprocess.Popen(["sleep", "3600"], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(daemon.pid))
"""
#: A server that takes its time, once nobody asks any more, and some more on a loaded machine.
SLOW = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from tests.support.odd_mcp_server import main
main()
time.sleep(1.5)
pathlib.Path(sys.argv[1]).write_text("ended")
"""


async def _held(command: Sequence[str], is_open: asyncio.Event) -> None:
    async with program_streams(command, {}, name="odd"):
        is_open.set()
        await asyncio.Event().wait()


def _is_running(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return found.stdout.strip() not in (b"", b"Z", b"Zs")


async def test_a_program_whose_end_is_cut_short_is_killed(tmp_path: Path) -> None:
    """A second cancellation leaves no process behind."""
    told, is_open = tmp_path / "pid", asyncio.Event()
    holding = asyncio.create_task(_held([sys.executable, "-c", DEAF, str(told)], is_open))
    await until(lambda: told.exists() and told.read_text(), 60)

    holding.cancel()
    await asyncio.sleep(0)
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding

    await until(lambda: not _is_running(int(told.read_text())), 60)


async def test_pipes_that_a_daemon_holds_are_closed(tmp_path: Path) -> None:
    """Whoever starts a program anew has no more files open for each that ended."""
    told, before = tmp_path / "pid", len(os.listdir("/dev/fd"))
    async with program_streams([sys.executable, "-c", LEAVES, str(told)], {}, name="odd"):
        await until(lambda: told.exists() and told.read_text(), 60)
    try:
        await until(lambda: len(os.listdir("/dev/fd")) <= before, 10)
    finally:
        os.kill(int(told.read_text()), signal.SIGKILL)


async def test_a_stop_lets_a_program_end_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take its time within bounds, and is not cut short."""
    monkeypatch.chdir(ROOT)
    told = tmp_path / "ended"
    command = [sys.executable, "-c", SLOW, str(told)]
    settings = McpSettings(command=command, allow=["*"], timeout_s=60)
    server = McpServer("odd", settings)
    assert await server.first_try() == ""

    await server.aclose()

    assert told.exists()
