"""The time for which a whole process stood still, told from code that keeps the interpreter's lock.

Either way a thread that sleeps wakes late. One that waits for the lock looks for it every
`sys.getswitchinterval()`, and each look is a switch that the system counts; one whose process was
stopped, starved or paused with its container looks for nothing.
"""

import resource
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

#: A thread that waits for the lock on a loaded machine is seen at least so often, of what it would
#: be on an idle one.
_SEEN_PART = 0.2
#: Standstills that are remembered.
_MOST = 100
#: What the system says of the thread that asks; only Linux has it.
_OWN: int | None = getattr(resource, "RUSAGE_THREAD", None)


def switches_of(native_id: int) -> int | None:
    """Return how often a thread of this process gave up its processor to wait for something.

    None where the system does not say: macOS tells it of a whole process alone, and there every
    late thread is taken for one that waited for the lock.
    """
    if _OWN is not None and native_id == threading.get_native_id():
        return resource.getrusage(_OWN).ru_nvcsw  # several times a second: no file is read
    try:
        status = Path(f"/proc/self/task/{native_id}/status").read_bytes()
    except OSError:
        return None
    _, found, rest = status.partition(b"\nvoluntary_ctxt_switches:")
    return int(rest.split(None, 1)[0]) if found else None


class Standstills:
    """Notes for how long the process stood still while one of its threads slept.

    Args:
        clock: Monotonic seconds.
        switches: Of the thread that sleeps.
    """

    def __init__(
        self, clock: Callable[[], float], *, switches: Callable[[int], int | None] = switches_of
    ) -> None:
        self._clock = clock
        self._switches = switches
        self._native_id = 0
        #: When the thread meant to wake, and its switches before.
        self._sleep: tuple[float, int | None] | None = None
        #: Until when, and for how long, by when it should have ended: two threads may find it.
        self._found: OrderedDict[float, tuple[float, float]] = OrderedDict()

    def sleeps(self, seconds: float) -> None:
        """Note that the thread that calls this sleeps now."""
        self._native_id = threading.get_native_id()
        self._sleep = (self._clock() + seconds, self._switches(self._native_id))

    def since(self, began: float) -> float:
        """Return for how many seconds it stood still since then, as far as can be told."""
        self._look()
        return sum(stood_s for until, stood_s in list(self._found.values()) if until > began)

    def _look(self) -> None:
        if self._sleep is None:
            return
        wakes_at, before = self._sleep
        now = self._clock()
        late_s = now - wakes_at
        after = None if before is None or late_s <= 0 else self._switches(self._native_id)
        if before is None or after is None:
            return
        seen_s = (after - before) * sys.getswitchinterval()
        if seen_s < late_s * _SEEN_PART:
            self._found[wakes_at] = (now, late_s - seen_s)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
