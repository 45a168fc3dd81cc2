"""One partition of the window: its next expected offset, and acks in delivery order."""

from collections import deque
from enum import Enum
from typing import Protocol

from faust.types import TP


class Ackable(Protocol):
    """An event that can be acked."""

    def ack(self) -> bool:
        """Mark the record's offset as safe to commit."""
        ...


class Finishable(Protocol):
    """A taken record in delivery order."""

    offset: int
    is_done: bool

    @property
    def event(self) -> Ackable:
        """The record's event."""
        ...


class Verdict(Enum):
    """What to do with a delivered offset."""

    NEXT = "take it"
    REDELIVERY = "drop it: it was taken before"
    GAP = "drop it and seek back"
    BEYOND_GAP = "drop it: it was fetched before the seek"


#: A gap that comes back so many times, always up to the same offset, is a real hole in the
#: log: compaction removed the records, or a transaction marker stands there.
COMEBACKS_OF_HOLE = 2


class Lane:
    """Contiguity and ordered acks of one assigned partition.

    Faust 0.15.3 skips records around a rebalance, since it resumes partitions before it seeks
    to the committed offset; so every jump of the offsets is checked here.

    Attributes:
        expected: Next offset to take.
        acked: Next offset to commit; None until a record of this generation finished.
    """

    __slots__ = ("_comebacks", "_first", "_last_seen", "_unfinished", "acked", "expected", "tp")

    def __init__(self, tp: TP, expected: int) -> None:
        self.tp = tp
        self.expected = expected
        self.acked: int | None = None
        self._unfinished: deque[Finishable] = deque()
        self._first = -1
        self._last_seen = -1
        self._comebacks = 0

    def __len__(self) -> int:
        """Return how many taken records are unfinished, or finished behind such a one."""
        return len(self._unfinished)

    def judge(self, offset: int) -> Verdict:
        """Say what to do with a delivered offset.

        After a seek, records fetched before it still arrive, with rising offsets. The first
        offset that does not rise was fetched after the seek: the gap has come back. Faust may
        itself skip records then (a race with its read offset), so only a gap that always comes
        back up to the same offset is a hole.
        """
        if offset == self.expected:
            self._close_gap()
            return Verdict.NEXT
        if offset < self.expected:
            return Verdict.REDELIVERY
        is_stale = offset > self._last_seen >= 0
        self._last_seen = offset
        if is_stale:
            return Verdict.BEYOND_GAP
        if offset != self._first:
            self._first, self._comebacks = offset, 0
            return Verdict.GAP
        self._comebacks += 1
        if self._comebacks < COMEBACKS_OF_HOLE:
            return Verdict.GAP
        self._close_gap()
        self.expected = offset
        return Verdict.NEXT

    def _close_gap(self) -> None:
        self._first = self._last_seen = -1
        self._comebacks = 0

    def append(self, record: Finishable) -> None:
        """Add the record at the expected offset."""
        self._unfinished.append(record)
        self.expected += 1

    def ack_finished(self) -> None:
        """Ack the finished records that no unfinished one precedes."""
        unfinished = self._unfinished
        while unfinished and unfinished[0].is_done:
            record = unfinished.popleft()
            record.event.ack()
            self.acked = record.offset + 1
