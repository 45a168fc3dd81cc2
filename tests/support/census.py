"""`python -m tests.support.census worker`: streamapp that counts its own asyncio tasks.

What the process holds of memory and files can be seen from outside; its tasks cannot. Every two
seconds a line of JSON is added to `census.jsonl` in its working directory.
"""

import asyncio
import json
import runpy
import sys
import threading
import time
import weakref
from collections import Counter
from pathlib import Path

EVERY_S = 2.0
FILE = "census.jsonl"

_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_set_running_loop = asyncio._set_running_loop


def note(loop: asyncio.AbstractEventLoop | None) -> None:
    """Take the place of what every event loop calls as it begins to run, uvloop's too."""
    if loop is not None:
        _loops.add(loop)
    _set_running_loop(loop)


def tasks() -> Counter[str]:
    """Return how many tasks of each coroutine wait, over all event loops of the process."""
    return Counter(
        getattr(task.get_coro(), "__qualname__", "unknown")
        for loop in list(_loops)
        for task in asyncio.all_tasks(loop)
    )


def count_for_ever(file: Path) -> None:
    """Add a line to the file every two seconds."""
    with file.open("a", buffering=1) as lines:
        while True:
            time.sleep(EVERY_S)
            lines.write(json.dumps({"at_s": time.monotonic(), "tasks": tasks()}) + "\n")


if __name__ == "__main__":
    # Before anything imports uvloop, which takes what it calls when it is imported.
    asyncio._set_running_loop = asyncio.events._set_running_loop = note
    threading.Thread(target=count_for_ever, args=(Path(FILE).absolute(),), daemon=True).start()
    sys.argv[0] = "streamapp"
    runpy.run_module("streamapp", run_name="__main__")
