"""``python -m bench.profiled OUT MODULE [WORD ...]``: run a module, profile it on demand.

The first SIGRTMIN starts cProfile in the main thread, the second one writes OUT: so only the
work is in the profile, not the imports, and a program that leaves by ``os._exit`` has one too.
"""

import cProfile
import runpy
import signal
import sys
import time
from pathlib import Path
from types import FrameType

TOGGLE = signal.SIGRTMIN


def main() -> None:
    """Install the switch and become the module."""
    out, module = Path(sys.argv[1]), sys.argv[2]
    # CPU time of the thread: neither other processes nor waiting for the GIL count.
    profile = cProfile.Profile(time.thread_time)
    is_on = False

    def toggle(number: int, frame: FrameType | None) -> None:
        nonlocal is_on
        is_on = not is_on
        if is_on:
            profile.enable()
        else:
            profile.disable()
            part = out.with_suffix(".part")
            profile.dump_stats(part)
            part.rename(out)

    signal.signal(TOGGLE, toggle)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
