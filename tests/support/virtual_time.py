"""An event loop whose time passes only in sleeps, at once: hours of policy in milliseconds."""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting until something happens, it is then."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen: a deadlock"
        if timeout > 0:  # however little: whoever waits for it would begin anew without an end
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time` is the clock to give to what is tested, `asyncio.sleep` the way to wait."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        now = self._jumping.now
        self._clock_resolution = math.ulp(now)  # no timer fires early, for the same reason
        return now

    def freeze(self, seconds: float) -> None:
        """Let time pass as for a process that was stopped: nothing runs meanwhile."""
        self._jumping.now += seconds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_clock() -> float:
    """Seconds of the running loop."""
    return asyncio.get_running_loop().time()
