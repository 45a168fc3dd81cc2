"""Partitions whose log changed under their position: shorter than it was, or begun anew.

The broker says so when the position is fetched (`OffsetOutOfRange`). The client would go on at
the log's start without a word, and the window would drop what comes from there as redelivered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import structlog
from faust.types import TP

log = structlog.get_logger(__name__)


class Logs(Protocol):
    """The part of the consumer that is asked."""

    def has_committed(self, tp: TP) -> bool:
        """Whether the group has an offset of the partition, be it 0."""
        ...

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the first offset that each log still holds."""
        ...

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        """Fetch from ``offset`` on; what lies from ``behind`` to there is gone."""
        ...


class LogChanges:
    """Goes on where a log changed, and says what that means.

    Args:
        inputs: Names of the topics whose records are answered.
        begin_anew: Has the window take a partition from an offset on, whatever was committed.
        on_change: Called with the reason, for metrics.
    """

    def __init__(
        self,
        inputs: Collection[str],
        *,
        begin_anew: Callable[[TP, int], Awaitable[None]],
        on_change: Callable[[str], None],
    ) -> None:
        self._inputs = inputs
        self._begin_anew = begin_anew
        self._on_change = on_change
        self._following: asyncio.Future[None] | None = None

    def look(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        """Follow what changed by a task of its own: the window is drained meanwhile."""
        if positions and (self._following is None or self._following.done()):
            self._following = asyncio.ensure_future(self.follow(logs, dict(positions)))
            self._following.add_done_callback(_tell_failure)

    def look_beside(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        """Follow what changed beside the inputs: tables are recovered before a window opens."""
        known = dict(positions)  # another thread writes it
        self.look(logs, {tp: at for tp, at in known.items() if tp.topic not in self._inputs})

    async def follow(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        """Go on at the logs' starts.

        Args:
            logs: Of this worker's partitions.
            positions: Those that the broker does not have.

        Raises:
            KafkaError: No broker answered; nothing was changed.
        """
        begins = await logs.earliest_offsets(*positions)
        for tp, position in positions.items():
            begin = begins[tp]
            if tp.topic not in self._inputs:
                log.warning("log.begun_anew", topic=tp.topic, partition=tp.partition, offset=begin)
                await logs.go_on_at(tp, begin)
            elif position == 0 < begin and not logs.has_committed(tp):
                # A new group: what was deleted before it came was never its own.
                log.info("log.begins", topic=tp.topic, partition=tp.partition, start=begin)
                await logs.go_on_at(tp, begin, behind=position)
            elif position < begin:
                self._on_change("start_passed")
                log.critical(
                    "log.start_passed",
                    topic=tp.topic,
                    partition=tp.partition,
                    position=position,
                    start=begin,
                    lost=begin - position,
                    hint="the topic's retention deleted records before they were answered:"
                    " raise retention.ms",
                )
                await logs.go_on_at(tp, begin, behind=position)
            else:
                self._on_change("shorter")
                log.critical(
                    "log.shorter",
                    topic=tp.topic,
                    partition=tp.partition,
                    position=position,
                    start=begin,
                    hint="the topic was made anew, restored, or lost records with its leader:"
                    " all that it holds is answered",
                )
                await self._begin_anew(tp, begin)


def _tell_failure(following: "asyncio.Future[None]") -> None:
    """Log why it failed: the next look tries again."""
    if not following.cancelled() and (error := following.exception()):
        log.warning("log.not_followed", error=type(error).__name__)
