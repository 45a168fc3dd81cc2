"""The ledger: the answer of each finished id, so that no finished call is paid twice.

Faust's ``table[k] = v`` only buffers the changelog record. The ledger sets the local value and
sends the changelog record itself, so that its delivery can be awaited before the answer is
emitted and the record finished. Entries leave without a tombstone: the changelog has a retention.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from streamapp.streaming.delivery.ledger_entry import (
    LedgerEntry,
    id_of,
    is_place_key,
    kept_key,
    logged_key,
    step_name,
)
from streamapp.streaming.tables.entry_store import EntryStore, KeptEntries
from streamapp.streaming.tables.ledger_groups import LedgerGroups
from streamapp.streaming.tables.ledger_index import LedgerIndex, LedgerLine
from streamapp.streaming.window.lease import Lease

log = structlog.get_logger(__name__)

#: Delivers one changelog record (key, value, partition) and returns after its delivery.
Append = Callable[[bytes, bytes, int, Lease], Awaitable[None]]


class Ledger:
    """Finished ids of this worker's partitions, bounded by time and bytes.

    Its answers serve equal calls, too: an index of fingerprints in memory makes the table a tier
    of the cache, for the one write.

    Args:
        store: The table's local data; it has what the index has, and nothing else.
        append: Delivers a changelog record.
        redeliverable: Whether the record at a partition and offset may be redelivered: it is
            neither below the committed offset nor finished by the commit's metadata. Its entry is
            never evicted.
        now: Wall clock, seconds since the epoch.
        ttl_s: How long a finished id is remembered, seconds.
        session_s: Longest time for which a worker writes that its group has given up, seconds.
        max_bytes: Upper bound of what all entries cost, but for those that may be redelivered.

    Attributes:
        groups: Wrote its entries.
    """

    def __init__(
        self,
        store: Callable[[], EntryStore],
        append: Append,
        *,
        redeliverable: Callable[[int, int], bool],
        now: Callable[[], float],
        ttl_s: float,
        session_s: float,
        max_bytes: float,
    ) -> None:
        self._append = append
        self._redeliverable = redeliverable
        self._now, self._ttl_s, self._session_s = now, ttl_s, session_s
        self._kept = KeptEntries(store, now=now, max_bytes=max_bytes, is_held=self._is_held)
        self._writing: set[bytes] = set()
        self._renewals: dict[bytes, asyncio.Future[None]] = {}
        self.groups = LedgerGroups()

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._index.lines)

    @property
    def size_bytes(self) -> int:
        """Bytes that all remembered entries cost."""
        return self._index.size_bytes

    @property
    def unreadable(self) -> int:
        """How many entries of the changelog could not be read."""
        return self._kept.unreadable

    @property
    def _index(self) -> LedgerIndex:
        return self._kept.index

    def expires_at(self) -> float:
        """Return when an entry written now expires, seconds since the epoch."""
        return self._now() + self._ttl_s

    def lookup(self, id: str, step: str = "") -> LedgerEntry | None:
        """Return what is remembered of the id, or of a step of its record, by its name."""
        return self.current(LedgerEntry.key(id, step))

    def steps_of(self, id: str) -> Mapping[bytes, tuple[bytes, ...]]:
        """Return the keys of the steps of records of the id, by `shared_name`; oldest first."""
        return self._index.steps.get(id.encode(), {})

    def outcome_at(self, id: str, partition: int, offset: int) -> LedgerEntry | None:
        """Return the outcome of a record where a later one of its id has an outcome, too."""
        return self.current(LedgerEntry.place_key(LedgerEntry.key(id, ""), partition, offset))

    def answer_in(self, id: str, partition: int) -> LedgerEntry | None:
        """Return a partition's own answer where another one's stands under the id."""
        keys = self._index.aside.get(id.encode(), ())
        own = (key for key in keys if self._index.lines[key].partition == partition)
        return None if (key := next(own, None)) is None else self.current(key)

    def current(self, key: bytes) -> LedgerEntry | None:
        """Return what is remembered under a key."""
        line = self._index.lines.get(key)
        return None if line is None or self._is_over(line) else self._kept.entry(key)

    def answer_to(self, fingerprint: str) -> bytes | None:
        """Return a response record that answers calls of ``fingerprint``; it may be old."""
        key = self._index.answer_to(fingerprint)
        return None if key is None or (entry := self._kept.entry(key)) is None else entry.answer

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
        aside = self._kept.aside(key, line)
        self._writing.add(key)
        try:
            if aside and aside[2].partition == line.partition:
                await self._append(*aside[:2], line.partition, lease)
            logged = logged_key(key) if step else key
            await self._append(logged, value, line.partition, lease)
        finally:
            self._writing.discard(key)
        self._admit(key, value, line)  # beside what was read meanwhile
        self.evict()

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
        line, entry = self._index.lines.get(key), self._kept.entry(key)
        if line is None or entry is None:
            return 0
        group, expires_at = self.groups.number(entry.partition), self.expires_at()
        entry = entry._replace(expires_at=expires_at, generation=lease.generation, group=group)
        value = entry.encode()
        renewal = self._renewals[key] = asyncio.get_running_loop().create_future()
        try:
            is_aside = is_place_key(key) and entry.answer is not None
            logged = id_of(key) if is_aside else logged_key(key)
            await self._append(logged, value, entry.partition, lease)
        finally:
            del self._renewals[key]
            renewal.set_result(None)
        if self._index.lines.get(key) is line:  # neither forgotten nor recovered anew meanwhile
            self._kept.take(key, value, LedgerLine.of(entry.head, len(value)))
            self.evict()
        return len(value)

    def forget(self, key: bytes) -> None:
        """Let go of an entry that nobody needs any more, without a tombstone."""
        self._kept.forget(key)

    def rebuild(self, partitions: set[int]) -> None:
        """Index the table anew after a recovery, without what is not ours or past its time.

        Where Faust does not know yet what is committed, what is past its time is kept, and goes
        with the writes to come.
        """
        old, index = self._index, LedgerIndex()
        self._kept.index = index
        self.groups.keep(partitions)
        store = self._kept.store()
        gone: list[tuple[bytes, int]] = []
        moved: list[tuple[bytes, bytes, bytes, LedgerLine]] = []
        for key, value, partition in store.held():
            line = old.lines.get(key)
            if line is None or line.partition != partition:
                line = self._kept.line_of(value)
            if (
                line is None
                or line.partition != partition
                or partition not in partitions
                or self._is_over(line)
            ):
                gone.append((key, partition))
                continue
            self.groups.note(line)
            kept = kept_key(key, value, *line.place) if line.is_step else key
            if kept == key and key not in index.lines:
                index.add(key, line)
            else:
                moved.append((key, kept, value, line))
        for key, partition in gone:
            store.drop(key, partition)
        for key, kept, value, line in moved:
            if self._admit(kept, value, line) != key:
                store.drop(key, line.partition)
        for id in [*index.aside]:
            self._kept.bring_back(id)
        let_go = len(gone) + self.forget_finished_steps()
        self.evict()
        log.info("ledger.rebuilt", ids=len(self), let_go=let_go, bytes=self.size_bytes)

    def forget_finished_steps(self) -> int:
        """Let go of steps whose records are finished, as their workers did; return how many."""
        for key in (keys := self._index.finished_steps(self._kept.is_one_content)):
            self.forget(key)
        return len(keys)

    def absorb(self, key: bytes | None, value: bytes | None) -> None:
        """Take an entry from the changelog, within the bound of bytes; a later one replaces it.

        But for what a worker wrote that was cut off: see `LedgerLine.outranks`.
        """
        if key is None or value is None or (line := self._kept.line_of(value)) is None:
            return
        self.groups.note(line)
        if self._is_over(line):
            return
        if line.is_step:
            key = kept_key(key, value, *line.place)
        elif not line.is_dead:
            key = id_of(key)  # it stood aside where it was renewed
        self._admit(key, value, line)
        self.evict()

    def _admit(self, key: bytes, value: bytes, line: LedgerLine) -> bytes:
        """Take an entry that was read, beside another partition's of its id; return its key."""
        lines = self._kept.index.lines
        known = lines.get(key)
        if known is not None and known.partition != line.partition:
            own = LedgerEntry.place_key(key, *line.place)
            if own in lines or known.outlasts(line):
                key, known = own, lines.get(own)
        if known is not None:
            is_ranked = known.partition == line.partition
            if is_ranked and known.outranks(line, session_s=self._session_s):
                return key
            if aside := self._kept.aside(key, line):
                self._kept.take(*aside)
        self._kept.take(key, value, line)
        return key

    def outdate(self, partition: int) -> None:
        """Keep a partition's entries, below all of its changelog: their ranks are of an old one."""
        for key in [key for key, line in self._index.lines.items() if line.partition == partition]:
            if (entry := self._kept.entry(key)) is not None:
                value = (entry := entry._replace(generation=0, group=None)).encode()
                self._kept.take(key, value, LedgerLine.of(entry.head, len(value)))
        self.evict()

    def evict(self) -> None:
        """Forget what is past its time, and the oldest past the size."""
        self._kept.evict()

    def _is_over(self, line: LedgerLine) -> bool:
        """Whether an entry is past its time, and its record done with."""
        return line.expires_at <= self._now() and not self._is_held(line)

    def _is_held(self, line: LedgerLine) -> bool:
        """Whether the record may be redelivered: it is remembered past its time, too."""
        return self._redeliverable(line.partition, line.offset)
