"""The bounded wait for running records, when their window closes."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import NamedTuple

from faust.types import TP

from streamapp.streaming.window.partition_state import Progress
from streamapp.streaming.window.storing import is_storing
from streamapp.streaming.window.taken_record import TakenRecord

#: How long a drain lets records wait for a limit, a budget or a provider that is down. Those
#: that a limit lets through meanwhile need not be given back behind others that were answered.
#: At most half of the drain.
TURN_S = 5.0
#: How long a drain that is over lets records end which were answered and are being written: what
#: is cut off there was paid for, and would be again; seconds.
STORE_S = 2.0
#: Longest wait for cancelled records to end, seconds: a processor that does not let itself be
#: cancelled must not hold up the group. It writes nothing any more, for its lease has ended.
CANCEL_S = 3.0
_POLL_INTERVAL_S = 0.25


class Drained(NamedTuple):
    """What a window leaves that has closed.

    Attributes:
        finished: What to commit of each partition that finished anything; nothing where the group
            went on without this worker.
        cut: Records that were cancelled since their calls would not end in time.
        lost: Records that ran when the group went on without this worker, and gave them to
            another one.
    """

    finished: dict[TP, Progress]
    cut: int
    lost: int


class Drain:
    """One drain; it begins when it is made, in a running loop.

    Args:
        limit_s: Longest wait, seconds.
    """

    def __init__(self, limit_s: float) -> None:
        now = asyncio.get_running_loop().time()
        self._ends_at = now + limit_s
        self._turns_end_at = now + min(TURN_S, limit_s / 2)

    def shorten(self, limit_s: float) -> bool:
        """End it ``limit_s`` seconds from now; return False where it ends sooner."""
        now = asyncio.get_running_loop().time()
        is_shorter = now + limit_s < self._ends_at
        self._ends_at = min(self._ends_at, now + limit_s)
        self._turns_end_at = min(self._turns_end_at, now + limit_s / 2)
        return is_shorter

    async def wait(
        self,
        tasks: dict[asyncio.Task[None], TakenRecord],
        *,
        is_lost: Callable[[], bool],
        only_waits: Callable[[Context], bool],
    ) -> tuple[list[asyncio.Task[None]], list[asyncio.Task[None]]]:
        """Wait until no task is left, the time is over or the right to write is lost.

        Args:
            tasks: What runs; who finishes leaves it. What is cancelled is taken out.
            is_lost: Whether nothing that finishes could be written any more.
            only_waits: Whether what runs in a context can be given back at no cost.

        Returns:
            The tasks that were cancelled since they only waited, and those that were since their
            calls would not end in time.
        """
        loop = asyncio.get_running_loop()
        gone: list[asyncio.Task[None]] = []
        cut: list[asyncio.Task[None]] = []
        while tasks and not is_lost() and (left_s := self._ends_at - loop.time()) > 0:
            await asyncio.wait(list(tasks), timeout=min(left_s, _POLL_INTERVAL_S))
            if loop.time() >= self._turns_end_at:
                gone += _cancel(tasks, lambda record: only_waits(record.context))
        stored_at = loop.time() + STORE_S
        while tasks and not is_lost() and loop.time() < stored_at:
            cut += _cancel(tasks, lambda record: not is_storing(record.context))
            if tasks:
                await asyncio.wait(list(tasks), timeout=_POLL_INTERVAL_S)
        return gone, cut


def _cancel(
    tasks: dict[asyncio.Task[None], TakenRecord], applies: Callable[[TakenRecord], bool]
) -> list[asyncio.Task[None]]:
    """Cancel what applies, take it out and return it."""
    chosen = [task for task, record in tasks.items() if not task.done() and applies(record)]
    for task in chosen:
        del tasks[task]
        task.cancel()
    return chosen
