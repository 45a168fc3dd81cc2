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
    COMEBACK = "the gap is there after a seek too: ask the log whether it is a hole"

    @property
    def is_ahead(self) -> bool:
        """Whether offsets are missing before the delivered one."""
        return self in (Verdict.GAP, Verdict.BEYOND_GAP, Verdict.COMEBACK)


class PartitionState:
    """Contiguity and ordered acks of one assigned partition.

    Faust 0.15.3 skips records around a rebalance, since it resumes partitions before it seeks
    to the committed offset; so every jump of the offsets is checked here.

    Attributes:
        expected: Next offset to take.
        acked: Next offset to commit; None until a record of this generation finished.
    """

    __slots__ = ("_last_seen", "_unfinished", "acked", "expected", "tp")

    def __init__(self, tp: TP, expected: int) -> None:
        self.tp = tp
        self.expected = expected
        self.acked: int | None = None
        self._unfinished: deque[Finishable] = deque()
        self._last_seen = -1

    def __len__(self) -> int:
        """Return how many taken records are unfinished, or finished behind such a one."""
        return len(self._unfinished)

    def judge(self, offset: int) -> Verdict:
        """Say what to do with a delivered offset.

        After a seek, records fetched before it still arrive, with rising offsets. The first
        offset that does not rise was fetched after the seek: the gap has come back. That is
        no proof of a hole, since Faust may skip the same record again.
        """
        if offset == self.expected:
            self._last_seen = -1
            return Verdict.NEXT
        if offset < self.expected:
            return Verdict.REDELIVERY
        last_seen, self._last_seen = self._last_seen, offset
        if last_seen < 0:
            return Verdict.GAP
        return Verdict.BEYOND_GAP if offset > last_seen else Verdict.COMEBACK

    def pass_hole(self, offset: int) -> None:
        """Expect ``offset`` next: the log holds nothing between."""
        self.expected = offset
        self._last_seen = -1

    @property
    def delivered(self) -> set[int]:
        """Offsets whose outcome was delivered behind an unfinished one: not acked, not lost."""
        return {record.offset for record in self._unfinished if record.is_done}

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
