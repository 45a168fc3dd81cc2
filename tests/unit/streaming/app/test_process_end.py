"""A worker's exit code is its own, whatever its client's thread does at the end."""

import subprocess
import sys

import pytest

#: Ends while a daemon thread of its own runs timers in uvloop, as a client's may.
PROGRAM = """
import asyncio, logging, logging.handlers, sys, threading, uvloop
from mode.threads import WorkerThread
from streamapp.streaming.app.process_end import leave_if_threads_run

class Ticking(WorkerThread):
    def __init__(self):
        super().__init__(None)
        self.daemon = True

    def run(self):
        loop = uvloop.new_event_loop()

        async def tick():
            while True:
                await asyncio.sleep(0.001)

        tasks = [loop.create_task(tick()) for _ in range(50)]
        ready.set()
        loop.run_forever()

ready = threading.Event()
said = logging.StreamHandler(sys.stdout)
logging.getLogger().addHandler(logging.handlers.MemoryHandler(10, 60, target=said))
logging.getLogger().error("said at the end")
if {runs}:
    Ticking().start()
    ready.wait()
try:
    sys.exit({code!r})
except SystemExit as ending:
    leave_if_threads_run(ending.code)
    print("no thread")
    raise
"""


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3), ("text", 1)])
def test_exit_code_is_kept_while_a_clients_thread_runs(code: object, status: int) -> None:
    """The process ends with it, and with what was to be logged."""
    ended = run(runs=True, code=code)

    assert (ended.returncode, ended.stdout) == (status, "said at the end\n"), ended


def test_process_without_such_a_thread_ends_as_any_other() -> None:
    """Python takes it down by itself."""
    ended = run(runs=False, code=3)

    assert (ended.returncode, ended.stdout) == (3, "no thread\nsaid at the end\n"), ended


def run(**words: object) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(**words)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
