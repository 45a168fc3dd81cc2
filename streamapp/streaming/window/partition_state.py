"""One partition of the window: its next expected offset, its span, and what to commit of it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from faust.types import TP

from streamapp.streaming.window.finished_offsets import MAX_OFFSETS, Metadata, encode

#: A record that holds its partition for so long is told, seconds.
HELD_LONG_S = 30.0


class Finishable(Protocol):
    """A taken record in delivery order."""

    offset: int
    size: int
    taken_at: float
    is_done: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What to commit of a partition.

    Attributes:
        offset: The next offset: that of the lowest unfinished record.
        metadata: The offsets above it that are finished, and the topic's id, as
            `finished_offsets.encode` writes them.
    """

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanBounds:
    """Bounds of a partition's span: from its lowest unfinished record to its newest taken one.

    What is finished in it is all that a crash could repeat, so it must be younger than the
    memory of finished ids, and fit the metadata of a commit.

    Attributes:
        offsets: Most offsets.
        bytes: Most bytes of its unfinished records, keys and values.
        age_s: Longest time for which its lowest record may be unfinished, seconds, before no
            further one is taken.
    """

    offsets: int = MAX_OFFSETS
    bytes: int = 32_000_000
    age_s: float = 150.0


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
    """Contiguity, span and progress of one assigned partition.

    Faust 0.15.3 skips records around a rebalance, since it resumes partitions before it seeks
    to the committed offset; so every jump of the offsets is checked here.

    Args:
        tp: The partition.
        expected: Next offset to take.
        known: Offsets above it that are finished already, and the id of the topic that its
            records are read of, which goes into its commits.
        bounds: Of its span.

    Attributes:
        expected: Next offset to take.
        next_commit: Next offset to commit; None until a record of this generation finished or a
            hole was passed.
        is_held: Nothing is taken until its span is small again, and it has its ledger.
        has_ledger: Whether what becomes of its records can be noted.
    """

    __slots__ = (
        "_bounds",
        "_bytes",
        "_finished_before",
        "_first_dropped",
        "_last_seen",
        "_progress",
        "_topic_id",
        "_unfinished",
        "expected",
        "has_ledger",
        "is_held",
        "next_commit",
        "tp",
    )

    def __init__(
        self,
        tp: TP,
        expected: int,
        known: Metadata = Metadata(),  # noqa: B008  # it does not change
        *,
        bounds: SpanBounds | None = None,
    ) -> None:
        self.tp = tp
        self.expected = expected
        self.next_commit: int | None = None
        self.is_held = False
        self.has_ledger = True
        self._bounds = bounds or SpanBounds()
        self._finished_before = set(known.finished)
        self._topic_id = known.topic_id
        self._unfinished: deque[Finishable] = deque()
        self._bytes = 0
        self._progress: Progress | None = None
        self._last_seen = -1
        self._first_dropped = -1

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
        """Expect ``offset`` next: the log holds nothing between.

        That is committed as well: a group that never got past what retention deleted would be told
        of the loss at each start.
        """
        self.expected = offset
        self._last_seen = -1
        if not self._unfinished:
            self.next_commit, self._progress = offset, None

    # -- span

    def has_room(self, offset: int, now: float) -> bool:
        """Whether the record at ``offset`` may be taken at ``now``, seconds."""
        bounds = self._bounds
        return self.has_ledger and self._is_within(offset, bounds.offsets, bounds.bytes, now)

    def has_drained(self, now: float) -> bool:
        """Whether a held partition may go on: it has its ledger, and half of its span is free."""
        bounds = self._bounds
        has_half = self._is_within(self.expected, bounds.offsets // 2, bounds.bytes // 2, now)
        # Behind a hole it can be far away.
        return has_half and self.has_room(self._first_dropped, now)

    def hold(self, offset: int) -> None:
        """Take nothing more for now; ``offset`` was delivered and is dropped."""
        if not self.is_held:
            self._first_dropped = offset
        self.is_held = True
        self._last_seen = max(self._last_seen, offset)

    @property
    def next_unfinished(self) -> int:
        """Offset of the lowest unfinished record; the expected one where nothing is unfinished."""
        return self._unfinished[0].offset if self._unfinished else self.expected

    def held_behind(self, now: float) -> Finishable | None:
        """Return the lowest unfinished record, where nothing is taken behind it for its sake.

        A partition of large records is held again and again for moments: no record's fault.
        """
        is_long = self.is_held and self.oldest_age_s(now) >= HELD_LONG_S
        return self._unfinished[0] if is_long else None

    def oldest_age_s(self, now: float) -> float:
        """Return for how long the lowest unfinished record was taken, seconds; 0 without one."""
        return now - self._unfinished[0].taken_at if self._unfinished else 0.0

    def _is_within(self, offset: int, offsets: int, size: int, now: float) -> bool:
        if not self._unfinished:
            return True
        lowest = self._unfinished[0]
        return (
            offset - lowest.offset < offsets
            and self._bytes < size
            and now - lowest.taken_at < self._bounds.age_s
        )

    def taken_after(self, offset: int) -> Iterator[Finishable]:
        """Yield the records taken behind ``offset``, the newest first.

        Those that are finished are left out, but for the ones behind an unfinished one.
        """
        for record in reversed(self._unfinished):
            if record.offset <= offset:
                return
            yield record

    # -- progress

    def was_finished(self, offset: int) -> bool:
        """Whether the record was finished in an older generation; asked once of each."""
        if offset not in self._finished_before:
            return False
        self._finished_before.discard(offset)
        return True

    def append(self, record: Finishable) -> None:
        """Add the record at the expected offset."""
        self._last_seen = -1
        self._unfinished.append(record)
        self._bytes += record.size
        self.expected += 1

    def finish(self, record: Finishable) -> None:
        """Note that the record's outcome was delivered."""
        record.is_done = True
        self._bytes -= record.size
        self._progress = None
        unfinished = self._unfinished
        while unfinished and unfinished[0].is_done:
            unfinished.popleft()
        self.next_commit = self.next_unfinished

    def progress(self) -> Progress | None:
        """Return what to commit; None until a record of this generation finished or a hole passed.

        It is the same object until another record finishes.
        """
        if self.next_commit is not None and self._progress is None:
            behind = [record.offset for record in self._unfinished if record.is_done]
            finished = [*behind, *self._finished_before]
            self._progress = Progress(
                self.next_commit, encode(self.next_commit, finished, topic_id=self._topic_id)
            )
        return self._progress
