"""``python -m bench.profiled OUT MODULE [WORD ...]``: run a module, sample its stacks on demand.

The first SIGRTMIN starts the sampling of the main thread, the second one writes OUT: so only the
work is in the profile, not the imports, and a program that leaves by ``os._exit`` has one too.
"""

import json
import runpy
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType

TOGGLE = signal.SIGRTMIN
#: CPU time of the process between two samples, seconds; the kernel's clock may tick less often.
INTERVAL_S = 0.001


class Sampler:
    """Adds up the CPU time of the thread it is made in, by the stack that it is spent in.

    Each sample weighs the thread's own CPU time since the one before, so that neither waiting nor
    other threads count, and the sum is what the thread has really used.
    """

    def __init__(self) -> None:
        self._stacks: defaultdict[tuple[CodeType, ...], float] = defaultdict(float)
        self._samples = 0
        self._began_s = (0.0, 0.0)
        self._last_s = 0.0

    def start(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._sample)
        self._began_s = (time.process_time(), time.thread_time())
        self._last_s = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self, out: Path) -> None:
        """Write what was sampled to ``out``, as JSON: seconds, and stacks from the leaf up."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        process_s, thread_s = self._began_s
        main_s = time.thread_time() - thread_s
        document = {
            "main_s": main_s,
            "samples": self._samples,
            "others_s": time.process_time() - process_s - main_s,
            "stacks": [
                [spent_s, [[c.co_filename, c.co_firstlineno, c.co_qualname] for c in stack]]
                for stack, spent_s in self._stacks.items()
            ],
        }
        part = out.with_suffix(".part")
        part.write_text(json.dumps(document))
        part.rename(out)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        now_s = time.thread_time()
        stack = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        self._samples += 1
        self._stacks[tuple(stack)] += now_s - self._last_s
        self._last_s = time.thread_time()


def main() -> None:
    """Install the switch and become the module."""
    out, module = Path(sys.argv[1]), sys.argv[2]
    sampler = Sampler()
    is_on = False

    def toggle(number: int, frame: FrameType | None) -> None:
        nonlocal is_on
        is_on = not is_on
        if is_on:
            sampler.start()
        else:
            sampler.stop(out)

    signal.signal(TOGGLE, toggle)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
