"""The ledger: the answer of each finished id, so that no finished call is paid twice.

Faust's ``table[k] = v`` only buffers the changelog record. The ledger sets the local value and
sends the changelog record itself, so that its delivery can be awaited before the answer is
emitted and the record finished. Entries leave without a tombstone: the changelog has a retention.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial

import structlog

from streamapp.streaming.delivery.ledger_entry import (
    LedgerEntry,
    is_one_content,
    kept_key,
    logged_key,
    step_name,
)
from streamapp.streaming.tables.ledger_groups import LedgerGroups
from streamapp.streaming.tables.ledger_index import LedgerIndex, LedgerLine
from streamapp.streaming.window.lease import Lease

log = structlog.get_logger(__name__)

#: A Faust table's ``data``.
Store = MutableMapping[bytes, bytes]
#: Delivers one changelog record (key, value, partition) and returns after its delivery.
Append = Callable[[bytes, bytes, int, Lease], Awaitable[None]]


class Ledger:
    """Finished ids of this worker's partitions, bounded by time and bytes.

    Its answers serve equal calls, too: an index of fingerprints in memory makes the table a tier
    of the cache, for the one write.

    Args:
        store: The table's local data.
        append: Delivers a changelog record.
        redeliverable: Whether the record at a partition and offset may be redelivered: it is
            neither below the committed offset nor finished by the commit's metadata. Its entry is
            never evicted.
        now: Wall clock, seconds since the epoch.
        ttl_s: How long a finished id is remembered, seconds.
        session_s: Longest time for which a worker writes that its group has given up, seconds.
        max_bytes: Upper bound of what all entries cost, but for those that may be redelivered.
        restore: Puts an entry of a partition into the local data; None where that needs no telling.

    Attributes:
        groups: Wrote its entries.
        unreadable: How many entries of the changelog could not be read.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        append: Append,
        *,
        redeliverable: Callable[[int, int], bool],
        now: Callable[[], float],
        ttl_s: float,
        session_s: float,
        max_bytes: float,
        restore: Callable[[bytes, bytes, int], None] | None = None,
    ) -> None:
        self._store = store
        self._append = append
        self._redeliverable = redeliverable
        self._now, self._max_bytes, self._ttl_s, self._session_s = now, max_bytes, ttl_s, session_s
        self._restore = restore or (lambda key, value, _: store().update({key: value}))
        self._index = LedgerIndex()
        self._writing: set[bytes] = set()
        self._renewals: dict[bytes, asyncio.Future[None]] = {}
        self.groups = LedgerGroups()
        self.unreadable = 0

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._index.lines)

    @property
    def size_bytes(self) -> int:
        """Bytes that all remembered entries cost."""
        return self._index.size_bytes

    def expires_at(self) -> float:
        """Return when an entry written now expires, seconds since the epoch."""
        return self._now() + self._ttl_s

    def lookup(self, id: str, step: str = "") -> LedgerEntry | None:
        """Return what is remembered of the id, or of a step of its record, by its name."""
        return self.current(LedgerEntry.key(id, step))

    def steps_of(self, id: str) -> Mapping[bytes, tuple[bytes, ...]]:
        """Return the keys of the steps of records of the id, by `shared_name`; oldest first."""
        return self._index.steps.get(id.encode(), {})

    def dead_at(self, id: str, partition: int, offset: int) -> LedgerEntry | None:
        """Return the dead outcome of a record where a later one of its id has an outcome, too."""
        return self.current(LedgerEntry.dead_key(LedgerEntry.key(id, ""), partition, offset))

    def current(self, key: bytes) -> LedgerEntry | None:
        """Return what is remembered under a key."""
        line = self._index.lines.get(key)
        return None if line is None or self._is_over(line) else self._entry(key)

    def answer_to(self, fingerprint: str) -> bytes | None:
        """Return a response record that answers calls of ``fingerprint``; it may be old."""
        key = self._index.answer_to(fingerprint)
        return None if key is None or (entry := self._entry(key)) is None else entry.answer

    async def write(self, id: str, entry: LedgerEntry, lease: Lease, *, step: str = "") -> None:
        """Remember the id, or a step of its record, by its number; return when Kafka has it.

        Raises:
            DeliveryFailed: The broker refused the changelog record.
        """
        entry = entry._replace(group=self.groups.number(entry.partition))
        name = step and step_name(step, entry.digest, entry.partition, entry.offset)
        key = LedgerEntry.key(id, name)
        value = entry.encode()
        if key in self._renewals:  # what is older must not come behind it
            await asyncio.wait([self._renewals[key]])
        line = LedgerLine.of(entry.head, len(value))
        aside = self._aside(key, line)
        self._writing.add(key)
        try:
            if aside and aside[2].partition == line.partition:
                await self._append(*aside[:2], line.partition, lease)
            logged = logged_key(key) if step else key
            await self._append(logged, value, line.partition, lease)
        finally:
            self._writing.discard(key)
        if aside:
            self._take(*aside)
        self._take(key, value, line)

    def keys(self) -> list[bytes]:
        """Return the keys of all entries, for `is_to_renew`."""
        return list(self._index.lines)

    def is_to_renew(self, key: bytes) -> bool:
        """Whether an entry's record is unfinished, and a quarter of the entry's time is over."""
        line = self._index.lines.get(key)
        if line is None or key in self._writing:
            return False
        age_s = self.expires_at() - line.expires_at  # below 0 by another worker's clock
        return not 0 <= age_s < self._ttl_s / 4 and self._is_held(line)

    async def renew(self, key: bytes, lease: Lease) -> int:
        """Write an entry anew, before retention deletes it; return its bytes.

        Raises:
            LeaseLost, DeliveryFailed: As `write`.
        """
        line, entry = self._index.lines.get(key), self._entry(key)
        if line is None or entry is None:
            return 0
        group, expires_at = self.groups.number(entry.partition), self.expires_at()
        entry = entry._replace(expires_at=expires_at, generation=lease.generation, group=group)
        value = entry.encode()
        renewal = self._renewals[key] = asyncio.get_running_loop().create_future()
        try:
            await self._append(logged_key(key), value, entry.partition, lease)
        finally:
            del self._renewals[key]
            renewal.set_result(None)
        if self._index.lines.get(key) is line:  # neither forgotten nor recovered anew meanwhile
            self._take(key, value, LedgerLine.of(entry.head, len(value)))
        return len(value)

    def forget(self, key: bytes) -> None:
        """Let go of an entry that nobody needs any more, without a tombstone."""
        if key in self._index.lines:
            self._index.remove(key)
            self._store().pop(key, None)

    def rebuild(self, partitions: set[int]) -> None:
        """Index the table anew after a recovery, without what is not ours or past its time.

        Where Faust does not know yet what is committed, what is past its time is kept, and goes
        with the writes to come.
        """
        old, self._index = self._index, LedgerIndex()
        self.groups.keep(partitions)
        store, gone = self._store(), list[bytes]()
        moved: list[tuple[bytes, bytes, LedgerLine]] = []
        for key, value in store.items():
            line = old.lines.get(key) or self._line_of(value)
            if line is None or line.partition not in partitions or self._is_over(line):
                gone.append(key)
                continue
            self.groups.note(line)
            if line.is_step and (kept := kept_key(key, value, *line.place)) != key:
                gone.append(key)
                moved.append((kept, value, line))
            else:
                self._index.add(key, line)
        for key in gone:
            del store[key]
        for each in moved:
            self._take(*each)
        let_go = len(gone) - len(moved) + self.forget_finished_steps()
        self.evict()
        log.info("ledger.rebuilt", ids=len(self), let_go=let_go, bytes=self.size_bytes)

    def forget_finished_steps(self) -> int:
        """Let go of steps whose records are finished, as their workers did; return how many."""
        store = self._store()
        for key in (keys := self._index.finished_steps(partial(is_one_content, store))):
            self.forget(key)
        return len(keys)

    def absorb(self, key: bytes | None, value: bytes | None) -> None:
        """Take an entry from the changelog, within the bound of bytes; a later one replaces it.

        But for what a worker wrote that was cut off: see `LedgerLine.outranks`.
        """
        if key is None or value is None or (line := self._line_of(value)) is None:
            return
        self.groups.note(line)
        if self._is_over(line):
            return
        if line.is_step:
            key = kept_key(key, value, *line.place)
        known = self._index.lines.get(key)
        if known is not None:
            if known.partition != line.partition:
                if line.is_dead and not known.is_dead:  # an answer is for both
                    key = LedgerEntry.dead_key(key, line.partition, line.offset)
            elif known.outranks(line, session_s=self._session_s):
                return
            if aside := self._aside(key, line):
                self._take(*aside)
        self._take(key, value, line)

    def outdate(self, partition: int) -> None:
        """Keep a partition's entries, below all of its changelog: their ranks are of an old one."""
        for key in [key for key, line in self._index.lines.items() if line.partition == partition]:
            if (entry := self._entry(key)) is not None:
                value = (entry := entry._replace(generation=0, group=None)).encode()
                self._take(key, value, LedgerLine.of(entry.head, len(value)))

    def _aside(self, key: bytes, later: LedgerLine) -> tuple[bytes, bytes, LedgerLine] | None:
        """Return the dead outcome that a later record of its id would take the place of.

        The dead record may come again, and has one of its own: key, value and line of that.
        """
        known = self._index.lines.get(key)
        if known is None or not known.is_dead or known.place == later.place:
            return None
        value = self._store().get(key)
        return None if value is None else (LedgerEntry.dead_key(key, *known.place), value, known)

    def _take(self, key: bytes, value: bytes, line: LedgerLine) -> None:
        """Put an entry into the store, whatever record is handled."""
        self._restore(key, value, line.partition)
        self._index.add(key, line)
        self.evict()

    def _entry(self, key: bytes) -> LedgerEntry | None:
        """Return a stored entry; None where there is none, or none that can be read."""
        value = self._store().get(key)
        try:
            return None if value is None else LedgerEntry.decode(value)
        except (ValueError, TypeError, KeyError) as error:
            self._tell_unreadable(error)
            return None

    def _tell_unreadable(self, error: Exception) -> None:
        if not self.unreadable:
            log.error("ledger.entry_unreadable", error=type(error).__name__)
        self.unreadable += 1

    def _line_of(self, value: bytes) -> LedgerLine | None:
        """Return what eviction needs of an entry; None, counted, for what is no entry."""
        try:
            return LedgerLine.of(LedgerEntry.head_of(value), len(value))
        except (ValueError, TypeError, KeyError) as error:
            self._tell_unreadable(error)
            return None

    def evict(self) -> None:
        """Forget what is past its time, and the oldest past the size."""
        gone = self._index.evict(now=self._now(), max_bytes=self._max_bytes, is_held=self._is_held)
        for key in gone:
            del self._store()[key]

    def _is_over(self, line: LedgerLine) -> bool:
        """Whether an entry is past its time, and its record done with."""
        return line.expires_at <= self._now() and not self._is_held(line)

    def _is_held(self, line: LedgerLine) -> bool:
        """Whether the record may be redelivered: it is remembered past its time, too."""
        return self._redeliverable(line.partition, line.offset)
