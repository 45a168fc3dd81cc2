"""Records of one id in two partitions, whose entries a disk keeps in two databases."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest, step_name
from streamapp.streaming.known_outcome import known_outcome
from streamapp.streaming.tables.answers import AnswersTable
from tests.unit.streaming.delivery.test_ledger import Fixture
from tests.unit.streaming.tables.test_disk_fallback_store import close, starts, table_on

#: The clock's time in `Fixture` is before the first and behind the second one.
LIVE, EXPIRED = 60.0, -1.0
#: A record is told its own outcome, else the answer to its id.
Told = list[LedgerEntry | None]


def answer(partition: int, expires_at: float = LIVE) -> LedgerEntry:
    return LedgerEntry(digest(b"r"), partition, 7, expires_at, b'"of %d"' % partition)


def dead(partition: int) -> LedgerEntry:
    return LedgerEntry(digest(b"r"), partition, 7, LIVE, dead_letter={"of": str(partition)})


def step(partition: int) -> LedgerEntry:
    return LedgerEntry(digest(b"r"), partition, 7, LIVE, step=b"%d" % partition)


def told(ledger: Ledger) -> Told:
    """Return what the records of partitions 0 and 1 are told."""
    messages = [SimpleNamespace(tp=TP("t", partition), offset=7) for partition in (0, 1)]
    return [
        known_outcome(
            ledger, cast(Any, message), id="a", is_own_id=True, digest=digest(b"r"), input=None
        )
        for message in messages
    ]


def steps(ledger: Ledger) -> Told:
    names = [step_name("1", digest(b"r"), partition, 7) for partition in (0, 1)]
    return [ledger.lookup("a", name) for name in names]


CASES = {
    "answer, answer": ([answer(0), answer(1)], [answer(0), answer(1)]),
    "answer, longer answer": ([answer(0), answer(1, 90)], [answer(0), answer(1, 90)]),
    "answer, dead": ([answer(0), dead(1)], [answer(0), dead(1)]),
    "dead, answer": ([dead(0), answer(1)], [dead(0), answer(1)]),
    "dead, dead": ([dead(0), dead(1)], [dead(0), dead(1)]),
    "expired, live": ([answer(0, EXPIRED), answer(1)], [answer(1), answer(1)]),
    "expired, dead": ([answer(0, EXPIRED), dead(1)], [None, dead(1)]),
    "another worker's, mine": ([answer(2), dead(1)], [None, dead(1)]),
}


class Process:
    """A worker's ledger, in memory or on a disk."""

    def __init__(self, data: Path | None, entries: list[LedgerEntry]) -> None:
        self.table: AnswersTable | None = None if data is None else table_on(data)
        if self.table is not None:
            starts(self.table, {0, 1})
        self.fixture = Fixture(store=None if self.table is None else self.table.entries)
        for entry in entries:
            if entry.expires_at < LIVE:
                self.fixture.committed[entry.partition] = entry.offset + 1
        self.ledger = self.fixture.ledger

    def read(self, key: bytes, entries: list[LedgerEntry]) -> None:
        """Read the changelog."""
        for entry in entries:
            if entry.partition < 2:
                self.ledger.absorb(key, entry.encode())

    def kept(self) -> set[tuple[bytes, bytes, int]]:
        """Return what the store holds: no less and no more than the index."""
        held = [*self.fixture.store.held()]
        assert len(held) == len(self.ledger)
        return {*held}

    def end(self) -> None:
        if self.table is not None:
            close(self.table)


@pytest.mark.parametrize("since", ["restart", "rebalance", "earlier version"])
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the other way round"])
@pytest.mark.parametrize(("entries", "expected"), CASES.values(), ids=CASES)
async def test_each_record_of_an_id_is_told_its_own_outcome(
    tmp_path: Path, entries: list[LedgerEntry], expected: Told, order: int, since: str
) -> None:
    """From a disk as from memory, which reads its changelog anew at a restart."""
    memory, disk = Process(None, entries), Process(tmp_path, entries)
    memory.read(b"a", entries[::order])
    if since == "earlier version":  # it left both copies, each in its database
        for entry in entries:
            disk.fixture.store.put(b"a", entry.encode(), entry.partition % 2)
    else:
        disk.read(b"a", entries[::order])
        assert disk.kept() == memory.kept()

    for _ in range(2):
        if since != "rebalance":
            disk.end()
            disk = Process(tmp_path, entries)
        for each in (memory, disk):
            each.ledger.rebuild({0, 1})

            assert told(each.ledger) == expected
        assert {each[1:] for each in disk.kept()} == {each[1:] for each in memory.kept()}
    disk.end()


@pytest.mark.parametrize("data", [True, False], ids=["disk", "memory"])
async def test_steps_that_an_older_version_kept_are_told_apart(tmp_path: Path, data: bool) -> None:
    """They are of one id and number, and so had one key in both databases."""
    entries = [step(0), step(1)]
    process = Process(tmp_path if data else None, entries)
    if data:
        for entry in entries:
            process.fixture.store.put(LedgerEntry.key("a", "1"), entry.encode(), entry.partition)
    else:
        process.read(LedgerEntry.key("a", "1"), entries)

    for _ in range(2):
        process.ledger.rebuild({0, 1})

        assert steps(process.ledger) == entries
        assert len(process.kept()) == 2
    process.end()


@pytest.mark.parametrize("is_dead", [False, True], ids=["answer", "dead letter"])
async def test_outcome_comes_back_with_its_partition(tmp_path: Path, is_dead: bool) -> None:
    """Another worker's answer to its id, which was read meanwhile, took none of it away."""
    own = dead(0) if is_dead else answer(0)
    process = Process(tmp_path, [])
    process.read(b"a", [own, answer(1)])
    assert process.table is not None

    process.table.show({0})
    process.ledger.rebuild({0})
    assert told(process.ledger)[0] == own
    process.table.show({1})
    process.ledger.rebuild({1})
    assert told(process.ledger) == [answer(1), answer(1)]
    process.table.show({0, 1})
    process.ledger.rebuild({0, 1})

    assert told(process.ledger) == [own, answer(1)]
    process.end()


@pytest.mark.parametrize("data", [True, False], ids=["disk", "memory"])
@pytest.mark.parametrize("left", [0, 1])
async def test_answer_that_stood_aside_answers_its_id_where_the_other_partition_leaves(
    tmp_path: Path, left: int, data: bool
) -> None:
    """A further record of the id, at another place of the partition, is not paid again."""
    process = Process(tmp_path if data else None, [])
    process.read(b"a", [answer(0), answer(1)])

    if process.table is not None:
        process.table.show({left})
    process.ledger.rebuild({left})

    assert process.ledger.lookup("a") == answer(left)
    assert len(process.kept()) == 1
    process.end()


async def test_late_entry_of_a_cut_off_worker_replaces_no_outcome_that_stands_aside() -> None:
    """Its record's own is known beside that of another partition."""
    fixture = Fixture()
    own = dead(0)._replace(generation=3)
    for entry in (own, answer(1), answer(0)._replace(generation=2)):
        fixture.ledger.absorb(b"a", entry.encode())

    assert told(fixture.ledger) == [own, answer(1)]


def duplicate(ledger: Ledger, partition: int, content: bytes = b"r") -> LedgerEntry | None:
    """Return what a further record of the id is told, sent to a partition behind the first."""
    message = SimpleNamespace(tp=TP("t", partition), offset=8)
    return known_outcome(
        ledger, cast(Any, message), id="a", is_own_id=True, digest=digest(content), input=None
    )


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the other way round"])
async def test_further_record_is_told_its_own_partitions_answer(order: int) -> None:
    """Which may be to another content; one of a third partition is told any of them."""
    other = answer(1)._replace(digest=digest(b"other"))
    process = Process(None, [])

    process.read(b"a", [answer(0), other][::order])

    for _ in range(2):
        assert duplicate(process.ledger, 0) == answer(0)
        assert duplicate(process.ledger, 1, b"other") == other
        assert duplicate(process.ledger, 2) in (answer(0), other)
        process.ledger.rebuild({0, 1})


@pytest.mark.parametrize("data", [True, False], ids=["disk", "memory"])
@pytest.mark.parametrize("bound", ["bytes", "time"])
async def test_answer_that_stood_aside_answers_its_id_where_the_other_one_is_forgotten(
    tmp_path: Path, bound: str, data: bool
) -> None:
    """In a worker that keeps both partitions, without a rebalance."""
    process = Process(tmp_path if data else None, [])
    process.read(b"a", [answer(0), answer(1, 65)])
    process.fixture.committed[1] = 8
    assert process.ledger.answer_in("a", 0) == answer(0)

    if bound == "time":
        process.ledger.evict()
    else:
        process.ledger.forget(b"a")

    assert duplicate(process.ledger, 0) == answer(0)
    assert len(process.kept()) == 1
    process.end()


@pytest.mark.parametrize("data", [True, False], ids=["disk", "memory"])
async def test_rebuild_past_the_bound_of_bytes_brings_back_what_is_left(
    tmp_path: Path, data: bool
) -> None:
    """A worker may come back with a smaller bound."""
    process = Process(tmp_path if data else None, [])
    for number in range(8):
        process.read(b"%d" % number, [answer(0, 2000), answer(1, 2000)])
    process.fixture.committed.update({0: 8, 1: 8})
    bounded = Fixture(store=process.fixture.store, max_bytes=3_000)
    bounded.committed.update({0: 8, 1: 8})
    if process.table is not None:
        process.table.show({0})

    bounded.ledger.rebuild({0})

    assert 0 < len(bounded.ledger) < 8
    assert all(map(bounded.ledger.current, bounded.ledger.keys()))
    process.end()


async def test_renewed_answer_that_stood_aside_is_logged_under_its_id() -> None:
    """Where retention has deleted the first one, a new owner of the partition finds it there."""
    fixture = Fixture()
    for entry in (answer(0), answer(1, 90)):
        fixture.ledger.absorb(b"a", entry.encode())
    [key] = {*fixture.ledger.keys()} - {b"a"}

    await fixture.ledger.renew(key, fixture.lease)

    [(logged, value, partition)] = fixture.changelog.records
    assert (logged, partition) == (b"a", 0)
    heir = Fixture()
    heir.ledger.absorb(key, value)  # as an earlier version logged it
    found = duplicate(heir.ledger, 0)
    assert found is not None
    assert found.answer == answer(0).answer


@pytest.mark.parametrize("read", ["before", "meanwhile"])
async def test_write_stands_beside_what_is_read_of_another_partition(read: str) -> None:
    """Neither takes the other's place, whenever the late reading of a partition comes."""
    fixture = Fixture()

    def read_other() -> None:
        fixture.ledger.absorb(b"a", answer(1).encode())

    if read == "before":
        read_other()
    else:
        fixture.changelog.meanwhile = read_other
    await fixture.ledger.write("a", dead(0), fixture.lease)

    own = told(fixture.ledger)
    assert [own[0] and own[0].dead_letter, own[1]] == [dead(0).dead_letter, answer(1)]
    assert duplicate(fixture.ledger, 1) == answer(1)
