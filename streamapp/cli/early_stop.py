"""The end of a worker that is told to stop while it still loads its code."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_when_told() -> Iterator[None]:
    """Have SIGTERM and SIGINT end the process with exit 0, until Faust drains by them.

    Nothing is taken so far. The system would end it by the signal, or, as the first process of a
    container, not at all.
    """
    before = {one: signal.signal(one, _end) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end(number: int, frame: FrameType | None) -> None:
    # No exception: it would come up in the middle of some import, which may swallow it.
    os._exit(0)
