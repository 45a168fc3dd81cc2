"""The store of a ledger's entries: each is found in its record's partition, and nowhere else."""

from collections.abc import Callable, Iterator
from typing import Protocol

import structlog

from streamapp.streaming.delivery.ledger_entry import (
    LedgerEntry,
    content_of,
)
from streamapp.streaming.tables.ledger_index import LedgerIndex, LedgerLine

log = structlog.get_logger(__name__)


class EntryStore(Protocol):
    """Entries by key and partition: on a disk each partition has a database of its own."""

    def read(self, key: bytes, partition: int) -> bytes | None:
        """Return the entry of that partition; None where it has none."""

    def put(self, key: bytes, value: bytes, partition: int) -> None:
        """Keep an entry, whatever record is handled."""

    def drop(self, key: bytes, partition: int) -> None:
        """Let go of what that partition has under a key, if anything."""

    def held(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield each key with its value and partition; nothing is put or dropped meanwhile."""


class MemoryEntries:
    """Entries in memory, the oldest first; of one key that of one partition, the last one put."""

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[bytes, int]] = {}

    def read(self, key: bytes, partition: int) -> bytes | None:
        """Return the entry of that partition; None where it has none."""
        value, of = self._held.get(key, (None, -1))
        return value if of == partition else None

    def put(self, key: bytes, value: bytes, partition: int) -> None:
        """Keep an entry."""
        self._held[key] = value, partition

    def drop(self, key: bytes, partition: int) -> None:
        """Let go of what that partition has under a key, if anything."""
        if self.read(key, partition) is not None:
            del self._held[key]

    def held(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield each key with its value and partition; nothing is put or dropped meanwhile."""
        return ((key, value, partition) for key, (value, partition) in self._held.items())


class KeptEntries:
    """The entries of a ledger: what its store holds, its index names, and nothing else.

    Args:
        store: Returns where they are.
        now: Wall clock, seconds since the epoch.
        max_bytes: Upper bound of what they cost, but for what is held.
        is_held: Whether an entry stays, past its time, too.

    Attributes:
        index: What is known of each without reading it.
        unreadable: How many could not be read.
    """

    def __init__(
        self,
        store: Callable[[], EntryStore],
        *,
        now: Callable[[], float],
        max_bytes: float,
        is_held: Callable[[LedgerLine], bool],
    ) -> None:
        self.store = store
        self._now, self._max_bytes, self._is_held = now, max_bytes, is_held
        self.index = LedgerIndex()
        self.unreadable = 0

    def take(self, key: bytes, value: bytes, line: LedgerLine) -> None:
        """Put an entry in place of that of its key, whatever partition that is in; `evict` then."""
        replaced = self.index.add(key, line)
        self.store().put(key, value, line.partition)
        if replaced is not None and replaced.partition != line.partition:
            self.store().drop(key, replaced.partition)

    def forget(self, key: bytes) -> None:
        """Let go of an entry, if it is there."""
        if key in self.index.lines:
            self.store().drop(key, self.index.remove(key).partition)
            self.bring_back(key)

    def evict(self) -> None:
        """Forget what is past its time, and the oldest past the size."""
        gone = self.index.evict(now=self._now(), max_bytes=self._max_bytes, is_held=self._is_held)
        for key, line in gone:
            self.store().drop(key, line.partition)
        for key, _ in gone:
            self.bring_back(key)

    def aside(self, key: bytes, later: LedgerLine) -> tuple[bytes, bytes, LedgerLine] | None:
        """Return the outcome of a record that a later one of its id would take the place of.

        It may come again, and has an outcome of its own: key, value and line of that. An answer
        is for all records of its partition.
        """
        known = self.index.lines.get(key)
        if known is None or known.place == later.place:
            return None
        if known.partition == later.partition and not known.is_dead:
            return None
        value = self._value(key)
        return None if value is None else (LedgerEntry.place_key(key, *known.place), value, known)

    def bring_back(self, id: bytes) -> None:
        """Let an answer that stood aside answer its id, where none does any more."""
        lines = self.index.lines
        if id in lines or not (keys := self.index.aside.get(id)):
            return
        key = max(keys, key=lambda each: lines[each].expires_at)
        if (value := self._value(key)) is not None:
            line = self.index.remove(key)
            self.take(id, value, line)
            self.store().drop(key, line.partition)

    def entry(self, key: bytes) -> LedgerEntry | None:
        """Return an entry; None where there is none, or none that can be read."""
        value = self._value(key)
        try:
            return None if value is None else LedgerEntry.decode(value)
        except (ValueError, TypeError, KeyError) as error:
            self._tell_unreadable(error)
            return None

    def line_of(self, value: bytes) -> LedgerLine | None:
        """Return what eviction needs of an entry; None, counted, for what is no entry."""
        try:
            return LedgerLine.of(LedgerEntry.head_of(value), len(value))
        except (ValueError, TypeError, KeyError) as error:
            self._tell_unreadable(error)
            return None

    def is_one_content(self, key: bytes, other: bytes) -> bool:
        """Whether two entries are of records of one content."""
        return content_of(self._value(key)) == content_of(self._value(other))

    def _value(self, key: bytes) -> bytes | None:
        line = self.index.lines.get(key)
        return None if line is None else self.store().read(key, line.partition)

    def _tell_unreadable(self, error: Exception) -> None:
        if not self.unreadable:
            log.error("ledger.entry_unreadable", error=type(error).__name__)
        self.unreadable += 1
