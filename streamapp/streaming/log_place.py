"""A place in a partition's log, and the record before it, by which another log is known.

An offset alone does not tell that the log lost its end (an unclean election, a restored broker)
and has grown past it again: the topic is the same. The record before the place is another one then.
"""

import zlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

#: Of a value, as many bytes as tell entries apart: its time and its record's place are among them.
TOLD_BY_BYTES = 256


class LogPlace(NamedTuple):
    """An offset of a partition, and the id of the topic that it is a place of.

    Attributes:
        offset: Of the next record.
        topic_id: As `topic_ids` tells it; empty where no broker has told it yet.
        last: Of the record before it, as `mark_of`; empty where none is known.
    """

    offset: int
    topic_id: bytes = b""
    last: bytes = b""


class _Record(Protocol):
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def mark_of(key: bytes | None, value: bytes | None) -> bytes:
    """Return the mark, 4 bytes, by which another record at a place is known."""
    return zlib.crc32((value or b"")[:TOLD_BY_BYTES], zlib.crc32(key or b"")).to_bytes(4)


class LastRecords:
    """The record before each partition's place: what stood there, and what was read since.

    Args:
        starts: By partition.

    Attributes:
        unseen: Partitions whose record before their start is still to be looked at.
    """

    def __init__(self, starts: Mapping[int, LogPlace]) -> None:
        self._marks = {p: (place.offset, place.last) for p, place in starts.items() if place.last}
        self.unseen = set(self._marks)

    def forget(self, partition: int) -> None:
        """Look at none: the partition is read from its beginning."""
        self._marks.pop(partition, None)
        self.unseen.discard(partition)

    def pass_over(self, partition: int) -> bool:
        """Look for the partition's record no more; return whether that was still to be done."""
        is_unseen = partition in self.unseen
        self.unseen.discard(partition)
        return is_unseen

    def begin(self, partition: int, start: int, first: int) -> int:
        """Return from where to fetch: one record before the start where that is to be seen.

        Args:
            partition: Of the log.
            start: Of what is missing.
            first: Offset at which the log begins by now.
        """
        if partition in self.unseen and start > first:
            return start - 1
        self.unseen.discard(partition)
        return start

    def is_other(self, record: _Record) -> bool:
        """Whether a record is the one before its partition's start, and not the one known there."""
        if record.partition not in self.unseen:
            return False
        start, mark = self._marks[record.partition]
        return record.offset == start - 1 and mark_of(record.key, record.value) != mark

    def note(self, record: _Record) -> None:
        """Note the last one that was read."""
        self._marks[record.partition] = record.offset + 1, mark_of(record.key, record.value)

    def before(self, partition: int, end: int) -> bytes:
        """Return the mark of the record before the end; empty where none was seen there."""
        behind, mark = self._marks.get(partition, (0, b""))
        return mark if behind == end else b""
