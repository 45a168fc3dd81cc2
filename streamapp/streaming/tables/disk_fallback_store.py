"""RocksDB for a table that does without the disk where that takes no more.

What a table holds is on its changelog in Kafka; the disk only makes a restart faster. So a full
or broken disk must not end the worker: from the first write that fails a partition's new
entries are kept in memory, and its offset on disk stays where it was, so that the next start
reads from Kafka what the disk does not hold. RocksDB itself takes no write after an error until
it is opened again: a restart, or the partition's next assignment, goes back to the disk. Where
entries on it cannot be read, all are read from Kafka.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import structlog
from faust.stores import rocksdb
from faust.types import TP

from streamapp.streaming.log_place import LogPlace
from streamapp.streaming.protocol.topic_ids import MARKED_BYTES

log = structlog.get_logger(__name__)

#: Of an offset, below the id of its topic.
OFFSET_BITS = 64
#: Before the id, of what this version notes.
_FORM = b"\x02"


class DiskFallbackStore(rocksdb.Store):
    """Faust's store, with memory in place of a disk that fails."""

    _shown: frozenset[int] = frozenset()

    def impaired(self) -> list[str]:
        """Return ``store`` where a partition is without its disk."""
        return ["store"] if any(db.is_given_up for db in self._dbs.values()) else []

    def _open_for_partition(self, partition: int) -> Any:
        db = DiskFallbackDB(self.offset_key, partition)
        try:
            db.disk = super()._open_for_partition(partition)
        except Exception as error:
            db.do_without(error)
        return db

    def show(self, partitions: Iterable[int]) -> None:
        """Show the entries of these partitions, and no others.

        Faust would show those that its assignor gave out: none of a changelog that the group's
        leader does not know, and one that is another worker's by now.
        """
        self._shown = frozenset(partitions)
        for partition in self._shown:
            self._db_for_partition(partition)

    def place(self, partition: int) -> LogPlace | None:
        """Return the place behind what a partition holds; None where that is not known."""
        noted = self._db_for_partition(partition).get(self.offset_key)
        return None if noted is None else decoded(noted)

    def note(self, partition: int, place: LogPlace) -> None:
        """Note the place behind what a partition holds."""
        self._db_for_partition(partition).put(self.offset_key, encoded(place))

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the last offset that a partition holds."""
        place = self.place(tp.partition)
        return None if place is None else place.offset - 1

    def read(self, key: bytes, partition: int) -> bytes | None:
        """Return the entry of that partition; None where it has none, or is another worker's."""
        db = self._dbs.get(partition)
        return None if db is None else cast(DiskFallbackDB, db).get(key)

    def put(self, key: bytes, value: bytes, partition: int) -> None:
        """Keep an entry, whatever record is handled."""
        self._db_for_partition(partition).put(key, value)

    def drop(self, key: bytes, partition: int) -> None:
        """Let go of what that partition has under a key, if anything."""
        if (db := self._dbs.get(partition)) is not None:
            db.delete(key)

    def held(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield each key with its value and partition, of those that are shown."""
        for partition in sorted(self._shown):
            for key, value in self._db_for_partition(partition).items():
                if key != self.offset_key:
                    yield key, value, partition


class DiskFallbackDB:
    """One partition: RocksDB's own interface, as far as Faust uses it.

    Args:
        offset_key: Under which Faust keeps how far the changelog was read.
        partition: For the log.

    Attributes:
        disk: The database; None where it could not be opened.
        is_given_up: Whether the disk is done without.
    """

    def __init__(self, offset_key: bytes, partition: int) -> None:
        self.disk: Any = None
        self.is_given_up = False
        self._offset_key = offset_key
        self._partition = partition
        self._offset: bytes | None = None
        self._lacks_entries = False
        #: What the disk did not take; None for what it did not delete.
        self._kept: dict[bytes, bytes | None] = {}

    def do_without(self, error: Exception) -> None:
        """Leave the disk alone from now on.

        A damaged database counts as well: Kafka has what was in it.

        Raises:
            Exception: The error itself where it is none of the disk: a lock that Faust waits
                for, or a fault of the caller.
        """
        text = str(error)
        # rocksdict raises no more special class.
        is_lock = text.startswith(("IO error: While lock file", "IO error: lock hold"))
        if is_lock or type(error) is not Exception:
            raise error
        if self.is_given_up:
            return
        self.is_given_up = True
        log.error(
            "store.disk_failed",
            partition=self._partition,
            reason=text[:200],
            hint="kept in memory; free STREAMAPP_DATA_DIR, or empty it, then restart this worker",
        )

    def get(self, key: bytes) -> bytes | None:
        """Return the value."""
        if key == self._offset_key and (self._offset is not None or self._lacks_entries):
            return self._offset
        if key in self._kept:
            return self._kept[key]
        try:
            found: bytes | None = self.disk.get(key) if self.disk is not None else None
        except Exception as error:
            self.do_without(error)
            return None
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Write to the disk, or to memory where that fails."""
        if key == self._offset_key:
            # The one before: its entry is on disk by now, and this one's may not get there.
            self._offset, last = value, self._offset
            if last is not None:
                self._try(lambda: self.disk.put(key, last))
        elif not self._try(lambda: self.disk.put(key, value)):
            self._kept[key] = value

    def delete(self, key: bytes) -> None:
        """Delete it, or remember that it is deleted."""
        self._kept.pop(key, None)
        if not self._try(lambda: self.disk.delete(key)) and self.get(key) is not None:
            self._kept[key] = None

    def key_may_exist(self, key: bytes) -> bool:
        """Return False only for a key that is not there."""
        if key in self._kept:
            return True
        return self.disk is not None and bool(self.disk.key_may_exist(key))

    def iter(self) -> Any:
        """Return a cursor; Faust only asks it to go to its start."""
        return self.disk.iter() if self.disk is not None else _NoCursor()

    def keys(self) -> Iterator[bytes]:
        """Yield all keys."""
        return (key for key, _ in self.items())

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys with their values."""
        if self.disk is not None:
            yield from (item for item in self._on_disk() if item[0] not in self._kept)
        yield from ((key, value) for key, value in list(self._kept.items()) if value is not None)

    def _on_disk(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what can be read; RocksDB stops at what cannot, and tells that only if asked."""
        cursor = self.disk.iter()
        cursor.seek_to_first()
        while cursor.valid():
            yield cursor.key(), cursor.value()
            cursor.next()
        try:
            cursor.status()
        except Exception as error:
            if not self._lacks_entries:  # else they were read from Kafka since
                self._offset, self._lacks_entries = None, True
            self.do_without(error)

    def _try(self, write: Callable[[], object]) -> bool:
        if self.is_given_up:
            return False
        try:
            write()
        except Exception as error:
            self.do_without(error)
            return False
        return True


def encoded(place: LogPlace) -> bytes:
    """Return a place as Faust notes an offset, a number: one value is written whole or not at all.

    With an id it is beyond any log's end, so that a version without ids reads all of it again. So
    does one without marks of last records: they stand with the id, which is another one for it.
    """
    known = place.topic_id + place.last if place.topic_id else b""
    return b"%d" % ((int.from_bytes(_FORM + known) << OFFSET_BITS) + place.offset)


def decoded(noted: bytes) -> LogPlace | None:
    """Return what `encoded` wrote; None for what Faust did, or an earlier version.

    Those noted more than was read where entries stood behind the end that Faust was told.
    """
    id, offset = divmod(int(noted), 1 << OFFSET_BITS)
    known = max(id, 0).to_bytes((max(id, 0).bit_length() + 7) // 8)
    if not known.startswith(_FORM):
        return None
    known = known.removeprefix(_FORM)
    return LogPlace(offset, known[:MARKED_BYTES], known[MARKED_BYTES:])


class _NoCursor:
    def seek_to_first(self) -> None:
        """Stand still."""
