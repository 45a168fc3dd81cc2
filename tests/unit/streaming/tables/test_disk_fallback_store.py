"""A partition that goes on without its disk."""

import gc
from pathlib import Path
from typing import Any, cast

import faust
import faust.streams
import pytest
from faust.types import TP

from streamapp.streaming.log_place import LogPlace
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.disk_fallback_store import DiskFallbackDB, decoded, encoded

OFFSET = b"offset"
#: A topic's, with its cluster's mark.
ID = bytes(range(20))
FULL = Exception("IO error: No space left on device: While appending to file: 4.log")
DAMAGED = Exception("Corruption: block checksum mismatch")


class Disk:
    """RocksDB with room for so many writes."""

    def __init__(self, room: int = 1_000) -> None:
        self.data: dict[bytes, bytes] = {}
        self.room = room
        self.error = FULL
        self.unreadable: set[bytes] = set()

    def _write(self) -> None:
        if not self.room:
            raise self.error
        self.room -= 1

    def put(self, key: bytes, value: bytes) -> None:
        self._write()
        self.data[key] = value

    def delete(self, key: bytes) -> None:
        self._write()
        self.data.pop(key, None)

    def get(self, key: bytes) -> bytes | None:
        if key in self.unreadable:
            raise DAMAGED
        return self.data.get(key)

    def key_may_exist(self, key: bytes) -> bool:
        return key in self.data

    def iter(self) -> "Cursor":
        return Cursor(self)


class Cursor:
    """Reads a disk in order, and stops where it cannot."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._left = sorted(disk.data.items())

    def seek_to_first(self) -> None: ...

    def valid(self) -> bool:
        return bool(self._left) and self._left[0][0] not in self._disk.unreadable

    def key(self) -> bytes:
        return self._left[0][0]

    def value(self) -> bytes:
        return self._left[0][1]

    def next(self) -> None:
        del self._left[0]

    def status(self) -> None:
        if self._left:
            raise DAMAGED


def on(disk: Disk | None) -> DiskFallbackDB:
    db = DiskFallbackDB(OFFSET, 0)
    db.disk = disk
    if disk is None:
        db.do_without(FULL)
    return db


def content(db: DiskFallbackDB) -> dict[bytes, bytes]:
    return dict(db.items())


def test_disk_with_room_holds_everything() -> None:
    """Nothing stays in memory that the disk has."""
    disk = Disk()
    db = on(disk)

    db.put(b"a", b"1")
    db.put(b"b", b"2")
    db.delete(b"a")

    assert disk.data == content(db) == {b"b": b"2"}
    assert not db.is_given_up


@pytest.mark.parametrize("room", [0, 1, 2])
def test_full_disk_is_done_without(room: int) -> None:
    """Whatever got there, reads tell what was written, changed and deleted since."""
    db = on(Disk(room))

    for key in (b"a", b"b", b"c"):
        db.put(key, b"1")
    db.put(b"a", b"2")
    db.delete(b"b")

    assert content(db) == {b"a": b"2", b"c": b"1"}
    assert (db.get(b"a"), db.get(b"b"), db.get(b"d")) == (b"2", None, None)
    assert db.key_may_exist(b"c")
    assert not db.key_may_exist(b"d")
    assert db.is_given_up


def test_no_disk_at_all_is_done_without() -> None:
    """A partition that cannot be opened is in memory."""
    db = on(None)

    db.put(b"a", b"1")
    db.delete(b"x")

    assert content(db) == {b"a": b"1"}
    assert db.get(b"x") is None


@pytest.mark.parametrize("room", range(8))
def test_offset_on_disk_never_passes_an_entry_that_is_not(room: int) -> None:
    """The next start reads from Kafka what the disk does not hold: the offset comes first."""
    disk = Disk(room)
    db = on(disk)

    for number in range(4):
        db.put(OFFSET, b"%d" % number)
        db.put(b"entry %d" % number, b"1")

    read_to = int(disk.data.get(OFFSET, b"-1"))
    assert all(b"entry %d" % number in disk.data for number in range(read_to + 1))


def test_room_that_comes_back_is_left_alone() -> None:
    """RocksDB must be opened again first, and a later offset would hide the gap."""
    disk = Disk(0)
    db = on(disk)

    db.put(b"a", b"1")
    disk.room = 100
    db.put(b"b", b"1")
    db.put(OFFSET, b"7")
    db.put(OFFSET, b"8")

    assert disk.data == {}


@pytest.mark.parametrize(
    "error",
    [
        Exception("IO error: While lock file: 0.db/LOCK: Resource temporarily unavailable"),
        Exception("IO error: lock hold by current process: 0.db/LOCK: No locks available"),
        TypeError("value"),
    ],
    ids=["lock of another process", "own lock", "caller"],
)
def test_other_errors_are_not_hidden(error: Exception) -> None:
    """A lock is waited for, and a mistake of ours is no disk's."""
    disk = Disk(0)
    disk.error = error

    with pytest.raises(type(error), match=str(error)[:5]):
        on(disk).put(b"a", b"1")


@pytest.mark.parametrize(
    "text", ["Corruption: bad block", "No space left on device (os error 28)", "EOF while parsing"]
)
def test_damaged_database_is_done_without(text: str) -> None:
    """Kafka has what was in it."""
    disk = Disk(0)
    disk.error = Exception(text)
    db = on(disk)

    db.put(b"a", b"1")

    assert content(db) == {b"a": b"1"}


def test_place_is_told_that_was_noted_last() -> None:
    """It counts as long as the partition is open, though the disk has the one before."""
    disk = Disk()
    db = on(disk)

    db.put(OFFSET, b"1")
    db.put(OFFSET, b"2")

    assert (db.get(OFFSET), on(disk).get(OFFSET)) == (b"2", b"1")


def test_disk_that_shows_a_part_of_its_entries_is_read_anew() -> None:
    """RocksDB ends at a damaged block as at the end: the place beside it is of the whole."""
    disk = Disk()
    for key in (OFFSET, b"a", b"z"):
        disk.put(key, b"1")
    disk.unreadable.add(b"z")
    db = on(disk)
    assert db.get(OFFSET) == b"1"

    assert content(db) == {OFFSET: b"1", b"a": b"1"}
    assert db.is_given_up
    assert db.get(OFFSET) is None
    assert db.get(b"z") is None

    db.put(b"z", b"1")
    db.put(OFFSET, b"1")
    assert content(db) == {OFFSET: b"1", b"a": b"1", b"z": b"1"}
    assert db.get(OFFSET) == b"1"


def table_on(data: Path) -> AnswersTable:
    """Return a table on a disk, of an app that never starts."""
    app = faust.App("t", broker="kafka://127.0.0.1:1", store="rocksdb://", datadir=data, env={})

    async def recover(partitions: set[int]) -> None: ...

    return AnswersTable(app, cast(Any, None), partitions=4, mine=set, recover=recover)


def starts(table: AnswersTable, partitions: set[int]) -> dict[int, LogPlace]:
    """Return them as a recovery asks for them."""
    table.show(partitions)
    return table.starts(partitions)


def close(table: AnswersTable) -> None:
    """Let go of the files, as a process does that ends."""
    cast(Any, table.data)._dbs.clear()
    gc.collect()


async def test_place_and_entries_are_there_at_the_next_start(tmp_path: Path) -> None:
    """A restart reads what came since, and from which log it was read."""
    first = table_on(tmp_path)
    starts(first, {0})
    first.entries.put(b"id", b"entry", 0)
    first.was_read({0: LogPlace(7, ID)})
    first.was_read({0: LogPlace(9, ID)})
    close(first)

    again = table_on(tmp_path)

    assert starts(again, {0, 1}) == {0: LogPlace(7, ID), 1: LogPlace(0)}
    assert [*again.entries.held()] == [(b"id", b"entry", 0)]
    close(again)


@pytest.mark.parametrize(
    "noted",
    [b"6", b"%d" % ((int.from_bytes(b"\x01" + ID) << 64) + 7)],
    ids=["offset", "with an id"],
)
async def test_place_of_an_earlier_version_is_not_believed(tmp_path: Path, noted: bytes) -> None:
    """It may be behind entries that were never read: an upgrade reads the ledger whole, once."""
    table = table_on(tmp_path)
    table.show({0})
    store = cast(Any, table.data)
    for _ in range(2):  # the one before the last is written
        store._db_for_partition(0).put(store.offset_key, noted)
    close(table)

    again = table_on(tmp_path)

    assert starts(again, {0}) == {0: LogPlace(0)}
    assert again.persisted_offset(TP("t-answers-changelog", 0)) is None
    close(again)


@pytest.mark.parametrize("id", [b"", ID, bytes(20), bytes([255] * 20)], ids=repr)
@pytest.mark.parametrize("last", [b"", bytes(4), bytes([255] * 4)], ids=repr)
@pytest.mark.parametrize("offset", [0, 7, 2**63 - 1])
def test_place_is_noted_as_a_number(id: bytes, last: bytes, offset: int) -> None:
    """The first versions take it for one beyond the end, and read all of it."""
    noted = encoded(LogPlace(offset, id, last))

    assert decoded(noted) == LogPlace(offset, id, last if id else b"")
    assert int(noted) > 2**63


async def test_entries_of_other_partitions_are_neither_shown_nor_lost(tmp_path: Path) -> None:
    """A partition that is another worker's by now may come back, and is read on from its place."""
    table = table_on(tmp_path)
    starts(table, {0, 1})
    entries = [(b"a", b"1", 0), (b"a", b"2", 1)]
    for entry in entries:
        table.entries.put(*entry)

    starts(table, {0})
    assert [*table.entries.held()] == entries[:1]

    starts(table, {0, 1})
    assert [*table.entries.held()] == entries
    close(table)
