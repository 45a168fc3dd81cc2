"""Commits of the window's own progress, whatever Faust takes for acked.

Faust commits by acks. Where the offsets that it hands over jump, it notes a hole, and once two
acks reach into that it counts all of it as acked; but most jumps are its own, so that it would
commit past unfinished records. And it notes an offset as committed also where the commit failed.
The window knows what is finished, in order and behind: that is committed, the latter in the
commit's metadata.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, cast

from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.types import TP

from streamapp.streaming.window.finished_offsets import Metadata, decode
from streamapp.streaming.window.partition_state import Progress


class MemberThread(Protocol):
    """What is asked of the client's thread."""

    committed: Mapping[TP, Progress]
    read_of: dict[TP, bytes]
    made_anew: Mapping[TP, bytes]

    async def commit_progress(
        self, progress: Mapping[TP, Progress], *, until_taken: bool = False
    ) -> Mapping[TP, Progress]:
        """Commit; return what the group took."""
        ...

    def log_end(self, tp: TP) -> int | None:
        """Return the end of a partition's log; None where it is not known."""
        ...

    async def leave_group(self) -> None:
        """Leave the group."""
        ...

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> Mapping[str, bytes]:
        """Return the ids of topics."""
        ...


class OrderedCommits(AIOKafkaConsumer):
    """Faust's consumer, which commits what the window says.

    Attributes:
        progress: Returns what there is to commit of each partition.
    """

    progress: Callable[[], Mapping[TP, Progress]] = staticmethod(dict)
    #: What the last commit of a partition says is finished, read once.
    _finished: dict[TP, tuple[Progress, frozenset[int]]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._finished = {}

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what the window finished since the last commit."""
        state = self.app.sensors.on_commit_initiated(self)
        did_commit = await self.commit_progress(self.progress())
        self.app.sensors.on_commit_completed(self, state)
        return did_commit

    async def commit_progress(
        self, progress: Mapping[TP, Progress], *, until_taken: bool = False
    ) -> bool:
        """Commit of assigned partitions what is not committed yet; return whether any was taken.

        Args:
            progress: As of the window.
            until_taken: Whether an outage is waited out: nobody commits it later.
        """
        if not progress:  # perhaps of a client that never started: a stop commits, too
            return False
        thread, assigned = self._member, self.assignment()
        due = {
            tp: each
            for tp, each in progress.items()
            if tp in assigned and thread.committed.get(tp) != each
        }
        if not due:
            return False
        taken = await thread.commit_progress(due, until_taken=until_taken)
        if not taken:
            return False
        offsets = {tp: each.offset for tp, each in taken.items()}
        self._committed_offset.update(offsets)
        self.app.tables.on_commit(offsets)
        self.app.monitor.on_tp_commit(offsets)
        return True

    async def perform_seek(self) -> None:
        """Seek to what is committed, and keep nothing else of these partitions.

        Faust keeps the offset that it knew where the group has none any more: in a topic that was
        made anew, the window would begin there, and take all below it for known.
        """
        places: Mapping[TP, int | None] = await self.seek_to_committed()
        self._read_offset.update(places)
        self._committed_offset.update({tp: offset or None for tp, offset in places.items()})
        # Nothing may be committed for long, as in an outage, and the lag is told all the same.
        inputs = cast(Any, self.app).inputs
        told = {tp: offset or 0 for tp, offset in places.items() if tp.topic in inputs}
        self.app.monitor.on_tp_commit(told)

    def has_committed(self, tp: TP) -> bool:
        """Whether the group has an offset of the partition, be it 0: Faust takes that for none."""
        return tp in self._member.committed

    def finished(self, tp: TP, position: int) -> frozenset[int]:
        """Return the offsets above ``position`` that the last commit says are finished."""
        committed = self._member.committed.get(tp)
        if committed is None:
            return frozenset()
        known, offsets = self._finished.get(tp, (None, frozenset()))
        if known is not committed:
            offsets = decode(committed.offset, committed.metadata).finished
            self._finished[tp] = committed, offsets
        return offsets if committed.offset == position else frozenset()

    def known(self, positions: Mapping[TP, int]) -> dict[TP, Metadata]:
        """Return what is finished above each position, and the id of the topic that is read."""
        return {
            tp: Metadata(self.finished(tp, position), self.read_of.get(tp, b""))
            for tp, position in positions.items()
        }

    @property
    def read_of(self) -> dict[TP, bytes]:
        """The id of the topic that each partition of the inputs is read of, where one is told."""
        return self._member.read_of

    @property
    def made_anew(self) -> Mapping[TP, bytes]:
        """The partitions that were begun anew by a seek, by the id of their topic."""
        return self._member.made_anew

    def may_redeliver(self, tp: TP, offset: int) -> bool:
        """Whether the record may come again: it is there, and no commit says that it is finished.

        What lies beyond the log's end is of a topic that was made anew since.
        """
        end = self._member.log_end(tp)
        if end is not None and offset >= end:
            return False
        committed = self._committed_offset.get(tp)
        if committed is None:
            return True
        return offset >= committed and offset not in self.finished(tp, committed)

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> Mapping[str, bytes]:
        """Return the ids of topics: one that was made anew has another."""
        return await self._member.topic_ids(topics, every_broker=every_broker)

    async def leave_group(self) -> None:
        """Give the partitions to others now; nothing is committed after that."""
        await self._member.leave_group()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Note nothing: a hole of millions of offsets would become a list of as many."""

    @property
    def _member(self) -> MemberThread:
        return cast(MemberThread, self._thread)
