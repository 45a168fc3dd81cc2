"""`python -m tests.support.census worker`: streamapp that counts its own asyncio tasks.

What the process holds of memory and files can be seen from outside; its tasks cannot. Every two
seconds a line of JSON is added to `census.jsonl` in its working directory.
"""

import asyncio
import gc
import json
import threading
import time
from collections import Counter
from pathlib import Path

from streamapp.cli import main

EVERY_S = 2.0
FILE = "census.jsonl"


def tasks() -> Counter[str]:
    """Return how many tasks of each coroutine wait, over all event loops of the process."""
    loops = [one for one in gc.get_objects() if isinstance(one, asyncio.AbstractEventLoop)]
    return Counter(
        getattr(task.get_coro(), "__qualname__", "unknown")
        for loop in loops
        for task in asyncio.all_tasks(loop)
    )


def count_for_ever(file: Path) -> None:
    """Add a line to the file every two seconds."""
    with file.open("a", buffering=1) as lines:
        while True:
            time.sleep(EVERY_S)
            lines.write(json.dumps({"at_s": time.monotonic(), "tasks": tasks()}) + "\n")


if __name__ == "__main__":
    threading.Thread(target=count_for_ever, args=(Path(FILE).absolute(),), daemon=True).start()
    main()
