"""The drain of the window at a revoke or a stop: one at a time, and committed before it ends."""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted

from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.window.window import Window

log = structlog.get_logger(__name__)

#: How long a stopping worker tries to leave its group, seconds.
LEAVE_S = 3.0


class WindowDrain:
    """Closes the window and commits what finished in it.

    Args:
        window: The window of the running generation.
        consumer: Returns the consumer that commits, which exists after the app has started.
        overdue: Returns a line for each record that may not end by itself.
    """

    def __init__(
        self,
        window: Window,
        consumer: Callable[[], Consumer],
        overdue: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._window = window
        self._consumer = consumer
        self._overdue = overdue
        self._running: asyncio.Future[bool] | None = None
        self._limit_s = 0.0

    async def drain(self, limit_s: float) -> bool:
        """Close the window, commit what finished; return whether no record ran past the limit.

        What another worker has by now, since the group went on without this one, is cancelled
        and is no failure of the drain.

        A stop in the middle of a rebalance cancels Faust's call of the revoke handler: the
        drain goes on by itself, and the stop waits for it. A rebalance in the middle of a stop
        shortens its drain: the whole group stands still meanwhile.

        Args:
            limit_s: Longest wait for records to finish, seconds; what is left is cancelled.
        """
        if self._running is not None and not self._running.done():
            if self._window.shorten_drain(limit_s):
                self._limit_s = limit_s
        else:
            if not self._window.is_open:
                return True
            if self._window.is_lost:
                # Whatever it still wrote would stand beside the answers of the next owner.
                log.warning("window.fenced", in_flight=self._window.lost)
                self._window.fence()
                return True
            self._limit_s = limit_s
            self._running = asyncio.ensure_future(self._close_and_commit(limit_s))
        return await asyncio.shield(self._running)

    async def drain_and_leave(self, limit_s: float) -> bool:
        """Drain for a stop, and give the partitions to others while HTTP calls still run."""
        in_time = await self.drain(limit_s)
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._consumer().leave_group()
        except ConsumerNotStarted:
            log.debug("group.never_joined")
        except (KafkaError, TimeoutError) as error:
            # The session's end tells the group instead.
            log.warning("group.not_left", error=type(error).__name__)
        return in_time

    async def _close_and_commit(self, limit_s: float) -> bool:
        running = self._window.in_flight
        log.info("window.draining", in_flight=running, given_back=self._window.pending)
        if overdue := self._overdue():
            log.warning("window.drain_waits", records=list(overdue))
        finished, cut, lost = await self._window.close(limit_s)
        if lost:
            log.warning("window.fenced", in_flight=lost)
        if cut:
            log.warning("window.drain_cut", records=cut, limit_s=self._limit_s)
        if finished:
            await self._consumer().commit_progress(finished, until_taken=True)
        return not cut
