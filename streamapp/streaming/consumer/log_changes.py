"""Partitions whose log changed under their position: shorter than it was, or begun anew.

The broker says so when the position is fetched (`OffsetOutOfRange`). The client would go on at
the log's start without a word, and the window would drop what comes from there as redelivered.
A topic that was made anew, and holds more than the position by now, has another id alone: than
the commit said that the partition was taken over by, or than it had then.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, Protocol

import structlog
from faust.types import TP

from streamapp.streaming.protocol.topic_ids import changed
from streamapp.streaming.window.finished_offsets import encode
from streamapp.streaming.window.partition_state import Progress

log = structlog.get_logger(__name__)

Starts = Mapping[TP, Progress]

#: How often the inputs' ids are compared, seconds; the first look after a standstill does so.
IDS_S = 2.0


class Logs(Protocol):
    """The part of the consumer that is asked."""

    @property
    def read_of(self) -> dict[TP, bytes]:
        """The id of the topic that each partition of the inputs is read of, where one is told."""
        ...

    def assignment(self) -> Collection[TP]:
        """Return this worker's partitions."""
        ...

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> Mapping[str, bytes]:
        """Return the ids of topics, where brokers tell them."""
        ...

    def has_committed(self, tp: TP) -> bool:
        """Whether the group has an offset of the partition, be it 0."""
        ...

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the first offset that each log still holds."""
        ...

    async def commit_progress(self, progress: Mapping[TP, Progress]) -> bool:
        """Commit places of this worker's partitions; return whether any was taken."""
        ...

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        """Fetch from ``offset`` on; what lies from ``behind`` to there is gone."""
        ...


class LogChanges:
    """Goes on where a log changed, and says what that means.

    Args:
        inputs: Names of the topics whose records are answered.
        begin_anew: Has the window take partitions from given places on, whatever was committed.
        on_change: Called with the reason, for metrics.
        on_begun: Hears of a partition beside the inputs whose log is another one.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        inputs: Collection[str],
        *,
        begin_anew: Callable[[Starts], Awaitable[None]],
        on_change: Callable[[str], None],
        on_begun: Callable[[TP], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inputs = inputs
        self._begin_anew = begin_anew
        self._on_change = on_change
        self._on_begun = on_begun
        self._clock = clock
        self._compared_at = -math.inf
        #: The ids that were told of topics that were made anew.
        self._told: dict[TP, bytes] = {}
        self._following: asyncio.Future[None] | None = None

    def look(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        """Follow what changed by a task of its own: the window is drained meanwhile."""
        if positions or self._clock() - self._compared_at >= IDS_S:
            self._start(self._compare_and_follow, logs, positions)

    def look_beside(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        """Follow what changed beside the inputs: tables are recovered before a window opens."""
        known = dict(positions)  # another thread writes it
        if others := {tp: at for tp, at in known.items() if tp.topic not in self._inputs}:
            self._start(self.follow, logs, others)

    def _start(
        self,
        follow: Callable[[Logs, Mapping[TP, int]], Coroutine[Any, Any, None]],
        logs: Logs,
        positions: Mapping[TP, int],
    ) -> None:
        if self._following is None or self._following.done():
            self._following = asyncio.ensure_future(follow(logs, dict(positions)))
            self._following.add_done_callback(_tell_failure)

    async def _compare_and_follow(self, logs: Logs, positions: Mapping[TP, int]) -> None:
        self._compared_at = self._clock()
        anew = await self.compare(logs)
        if left := {tp: at for tp, at in positions.items() if tp not in anew}:
            await self.follow(logs, left)

    async def compare(self, logs: Logs) -> frozenset[TP]:
        """Begin the inputs anew whose id is another; return their partitions.

        Raises:
            KafkaError: No broker answered; what is left is begun anew by the next look.
        """
        ids = await logs.topic_ids(self._inputs)
        if changed(logs.read_of, ids):
            # The one that told it may be behind.
            ids = await logs.topic_ids(self._inputs, every_broker=True)
        mine = {tp for tp in logs.assignment() if tp.topic in ids}
        for tp in mine:
            logs.read_of[tp] = logs.read_of.get(tp) or ids[tp.topic]
        anew = changed({tp: logs.read_of[tp] for tp in mine}, ids)
        self.tell(anew)
        if anew:
            begins = await logs.earliest_offsets(*anew)
            starts = {tp: _start(begins[tp], id) for tp, id in anew.items()}
            # Before the drain, too: where this worker dies in it and nothing is committed, a
            # flow that begins with new records would begin at the end.
            await logs.commit_progress(starts)
            await self._begin_anew(starts)
        return frozenset(anew)

    def tell(self, anew: Mapping[TP, bytes]) -> None:
        """Say once which partitions are begun anew, by their topic's id."""
        new = {tp for tp, id in anew.items() if self._told.get(tp) != id}
        self._told |= anew
        for topic in sorted({tp.topic for tp in new}):
            partitions = sorted(tp.partition for tp in new if tp.topic == topic)
            for _ in partitions:
                self._on_change("made_anew")
            log.critical(
                "log.made_anew",
                topic=topic,
                partitions=partitions,
                hint="the topic was deleted and made anew: all that it holds is answered",
            )

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
                if begin < position:  # beyond its end: it is another log
                    await self._on_begun(tp)
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
                await self._begin_anew({tp: _start(begin, logs.read_of.get(tp, b""))})


def _start(offset: int, topic_id: bytes) -> Progress:
    return Progress(offset, encode(offset, (), topic_id=topic_id))


def _tell_failure(following: "asyncio.Future[None]") -> None:
    """Log why it failed: the next look tries again."""
    if not following.cancelled() and (error := following.exception()):
        log.warning("log.not_followed", error=type(error).__name__)
