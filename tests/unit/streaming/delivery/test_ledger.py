from collections.abc import Callable
from typing import Any

import pytest

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest, input_hash, step_name
from streamapp.streaming.tables.entry_store import EntryStore, MemoryEntries
from streamapp.streaming.tables.ledger_index import ENTRY_BYTES, EVICTION_PAUSE
from streamapp.streaming.window.lease import Lease
from tests.fakes import FakeClock

#: The name of a record's first step, and where the one of record `a` is kept.
FIRST = step_name("1", digest(b"r"), 0, 7)
STEP = b"a\xff" + FIRST.encode()
#: Its key in the changelog, where older versions kept it, too.
LOGGED_STEP = b"a\xff1"


class Changelog:
    """Collects what was appended, and can refuse."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes, int]] = []
        self.error: Exception | None = None
        #: Called while a record is on its way.
        self.meanwhile: Callable[[], None] = lambda: None

    async def append(self, key: bytes, value: bytes, partition: int, lease: Lease) -> None:
        if self.error:
            raise self.error
        self.meanwhile()
        self.records.append((key, value, partition))


class Fixture:
    def __init__(
        self,
        *,
        ttl_s: float = 60.0,
        max_bytes: float = 10_000,
        store: EntryStore | None = None,
    ) -> None:
        self.store = MemoryEntries() if store is None else store
        self.changelog = Changelog()
        self.clock = FakeClock()
        self.committed: dict[int, int] = {}
        self.finished_behind: set[int] = set()
        self.lease = Lease(1)
        self.ledger = Ledger(
            lambda: self.store,
            self.changelog.append,
            redeliverable=self.redeliverable,
            now=self.clock,
            ttl_s=ttl_s,
            session_s=10,
            max_bytes=max_bytes,
        )

    @property
    def stored(self) -> dict[bytes, bytes]:
        """What the store holds, by key."""
        return {key: value for key, value, _ in self.store.held()}

    def hold(self, entries: dict[bytes, LedgerEntry]) -> None:
        """Put entries into the store, as an earlier process did."""
        for key, entry in entries.items():
            self.store.put(key, entry.encode(), entry.partition)

    def redeliverable(self, partition: int, offset: int) -> bool:
        return offset >= self.committed.get(partition, 0) and offset not in self.finished_behind

    async def write(self, id: str, offset: int, answer: bytes = b'{"output":1}') -> LedgerEntry:
        entry = LedgerEntry(digest(b"record"), 0, offset, self.ledger.expires_at(), answer)
        await self.ledger.write(id, entry, self.lease)
        return entry


def test_entry_keeps_the_answer_byte_for_byte() -> None:
    """What is emitted from the ledger equals what was emitted first."""
    answer = '{"id":"r","output":"\\u0000 \U0001f600 \\"answer\\":{}"}'.encode()

    entry = LedgerEntry(digest(b"x"), 3, 7, 1234.5, answer)

    assert LedgerEntry.decode(entry.encode()) == entry


def test_entry_keeps_a_dead_letter() -> None:
    """The headers of a dead letter come back as they were."""
    entry = LedgerEntry(
        digest(b"x"), 3, 7, 1234.5, dead_letter={"streamapp.error.kind": "rejected"}
    )

    assert LedgerEntry.decode(entry.encode()) == entry
    assert entry.is_of(3, 7)
    assert not entry.is_of(3, 8)


@pytest.mark.parametrize(
    "entry",
    [
        LedgerEntry("ab", 3, 7, 1234.5, b'{"output":1}', generation=4),
        LedgerEntry("ab", 3, 7, 1234.567, b'{"output":1}', fingerprint="0c"),
        LedgerEntry("ab", 3, 7, 1234.5, b'{"output":1}', input=input_hash("a"), fingerprint="0c"),
        LedgerEntry("ab", 3, 7, 1234.5, b'{"output":1}', generation=4, group=12, fingerprint="0c"),
        LedgerEntry("ab", 0, 0, 0.0, dead_letter={"kind": '","answer":"'}),
        LedgerEntry("ab", 3, 7, 1234.5, step=b'{"result":{"answer":1}}'),
    ],
    ids=["answer", "fingerprint", "input", "group", "dead letter", "step"],
)
def test_head_is_that_of_the_whole_entry(entry: LedgerEntry) -> None:
    """A recovery reads the heads alone, and must learn the same from them."""
    assert LedgerEntry.head_of(entry.encode()) == LedgerEntry.decode(entry.encode()).head
    assert LedgerEntry.decode(entry.encode()) == entry


@pytest.mark.parametrize(
    "value",
    [
        b'{"digest":"ab","partition":3,"offset":7,"expires_at":5.0,"answer":{}}',
        b'{"digest":"ab","partition":3,"offset":7,"expires_at":5,"answer":{},"new":[1]}',
        b'{"offset":7,"new":"x","partition":3,"digest":"ab","expires_at":5.0,"answer":{}}',
    ],
    ids=["older", "newer", "in another order"],
)
def test_head_of_another_version_is_read(value: bytes) -> None:
    """Entries outlive the version that wrote them."""
    head = LedgerEntry.head_of(value)

    assert (head.partition, head.offset, head.expires_at, head.is_step) == (3, 7, 5.0, False)


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'{"digest":"ab","partition":3,"offset":7}'])
def test_what_is_no_entry_has_no_head(value: bytes) -> None:
    """It is passed over and counted, never indexed."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        LedgerEntry.head_of(value)


def test_entry_that_is_broken_behind_its_head_is_no_answer() -> None:
    """Found out when it is looked up: the record is run, as if nothing were remembered."""
    fixture = Fixture()
    entry = LedgerEntry(digest(b"record"), 0, 1, fixture.clock() + 60, b'{"output":', "0c")
    fixture.ledger.absorb(b"a", entry.encode())

    assert fixture.ledger.lookup("a") is None
    assert fixture.ledger.answer_to("0c") is None
    assert fixture.ledger.unreadable == 2


async def test_written_id_is_found_after_its_delivery() -> None:
    """An id is known once Kafka has it, on the partition of its record."""
    fixture = Fixture()

    entry = await fixture.write("r-1", 5)

    assert fixture.ledger.lookup("r-1") == entry
    assert fixture.changelog.records == [(b"r-1", entry.encode(), 0)]


async def test_undelivered_entry_is_not_remembered() -> None:
    """A local value that Kafka does not have would be lost with the process."""
    fixture = Fixture()
    fixture.changelog.error = RuntimeError("refused")

    with pytest.raises(RuntimeError):
        await fixture.write("r-1", 5)

    assert fixture.ledger.lookup("r-1") is None
    assert fixture.stored == {}


async def test_expired_id_is_forgotten_once_committed() -> None:
    """Past its time an id is evicted without a tombstone."""
    fixture = Fixture(ttl_s=60)
    await fixture.write("old", 1)
    fixture.committed[0] = 2

    fixture.clock.advance(61)
    await fixture.write("new", 2)

    assert fixture.ledger.lookup("old") is None
    assert set(fixture.stored) == {b"new"}
    assert len(fixture.changelog.records) == 2


async def test_uncommitted_id_outlives_time_and_size() -> None:
    """A record that may be redelivered is never forgotten."""
    fixture = Fixture(ttl_s=60, max_bytes=1)
    await fixture.write("a", 1)

    fixture.clock.advance(61)
    await fixture.write("b", 2)

    assert set(fixture.stored) == {b"a", b"b"}
    assert fixture.ledger.lookup("a") is not None


async def test_ids_behind_a_held_record_are_bounded_once_the_commit_names_them() -> None:
    """What the commit's metadata says is finished never comes again, however long one is held."""
    fixture = Fixture(max_bytes=2_000)
    fixture.committed[0] = 5  # the held one

    for offset in range(6, 106):
        await fixture.write(f"r-{offset}", offset, answer=b'"%b"' % (b"x" * 1_000))
        fixture.finished_behind.add(offset - 1)

    assert len(fixture.ledger) <= 2
    assert fixture.ledger.lookup("r-105") is not None, "not in a commit yet"


async def test_uncommitted_id_outlives_its_time_in_a_recovery() -> None:
    """A rebalance forgets nothing that may be redelivered."""
    fixture = Fixture(ttl_s=60)
    await fixture.write("committed", 1)
    await fixture.write("uncommitted", 2)
    fixture.committed[0] = 2

    fixture.clock.advance(61)
    fixture.ledger.rebuild({0})

    assert fixture.ledger.lookup("uncommitted") is not None
    assert set(fixture.stored) == {b"uncommitted"}


async def test_size_bound_evicts_the_oldest() -> None:
    """Memory is bounded by bytes, oldest first."""
    fixture = Fixture(max_bytes=4_000)
    fixture.committed[0] = 1_000

    for offset in range(100):
        await fixture.write(f"r-{offset}", offset, b'"%b"' % (b"x" * 50))

    assert fixture.ledger.size_bytes <= 4_000
    assert fixture.ledger.lookup("r-99") is not None
    assert fixture.ledger.lookup("r-0") is None
    assert len(fixture.stored) == len(fixture.ledger)


async def test_rewritten_id_counts_once() -> None:
    """A dead-lettered id that is answered later takes no double room."""
    fixture = Fixture()
    await fixture.write("r", 1)
    size = fixture.ledger.size_bytes

    await fixture.write("r", 1)

    assert (len(fixture.ledger), fixture.ledger.size_bytes) == (1, size)


async def test_rebuild_keeps_our_partitions_within_their_time() -> None:
    """After a recovery the index holds what is ours and fresh; the rest leaves the table."""
    first = Fixture(ttl_s=60)
    mine = await first.write("mine", 1)
    foreign = LedgerEntry(digest(b"r"), 1, 4, first.ledger.expires_at(), b"{}")
    stale = LedgerEntry(digest(b"r"), 0, 0, first.clock() - 1, b"{}")
    second = Fixture()
    second.committed[0] = 1
    second.hold({b"mine": mine, b"foreign": foreign, b"stale": stale})

    second.ledger.rebuild({0})

    assert second.ledger.lookup("mine") == mine
    assert set(second.stored) == {b"mine"}


@pytest.mark.parametrize(
    ("offset", "is_kept"), [(3, True), (7, False)], ids=["sent again", "finished"]
)
async def test_steps_leave_with_their_own_record_alone(offset: int, is_kept: bool) -> None:
    """The dead letter of an earlier record of an id says nothing of the one that was sent again."""
    first, second = Fixture(), Fixture()
    dead = LedgerEntry(digest(b"r"), 0, offset, first.ledger.expires_at(), dead_letter={"k": "v"})
    step = LedgerEntry(digest(b"r"), 0, 7, first.ledger.expires_at(), step=b"{}")
    second.hold({b"a": dead, STEP: step})

    second.ledger.rebuild({0})

    assert (STEP in second.stored) is is_kept


@pytest.mark.parametrize("end", ["dead_letter", "answer"])
async def test_an_outcome_elsewhere_does_not_end_a_records_steps(end: str) -> None:
    """A dead letter is no answer to it, and an answer of another partition may leave with that."""
    fixture = Fixture()
    expires_at = fixture.ledger.expires_at()
    if end == "answer":
        other = LedgerEntry(digest(b"r"), 1, 9, expires_at, answer=b'{"output":"x"}')
    else:
        other = LedgerEntry(digest(b"r"), 1, 9, expires_at, dead_letter={"k": "v"})
    step = LedgerEntry(digest(b"r"), 0, 7, expires_at, step=b"{}")
    fixture.hold({b"a": other, STEP: step})

    fixture.ledger.rebuild({0, 1})

    assert STEP in fixture.stored
    fixture.ledger.rebuild({0})
    assert fixture.ledger.lookup("a", FIRST) == step


def test_digest_tells_records_apart() -> None:
    """Equal bytes have equal digests, other bytes others; a null value has one too."""
    assert digest(b"a") == digest(b"a") != digest(b"b")
    assert len(digest(None)) == 32


async def test_answers_are_found_by_the_fingerprints_of_their_calls() -> None:
    """The table is a tier of the cache: by its index, and again after a recovery."""
    fixture = Fixture()
    entry = LedgerEntry(
        digest(b"r"), 0, 1, fixture.ledger.expires_at(), b'{"output":"x"}', fingerprint="f00"
    )
    await fixture.ledger.write("r", entry, fixture.lease)
    again = Fixture()
    again.hold({b"r": entry})
    again.ledger.rebuild({0})

    for ledger in (fixture.ledger, again.ledger):
        assert ledger.answer_to("f00") == b'{"output":"x"}'
        assert ledger.answer_to("f01") is None
        assert ledger.lookup("r") == entry


async def test_fingerprints_leave_with_their_entries() -> None:
    """The index is bounded as the table is, and names the newest of equal answers."""
    fixture = Fixture(max_bytes=2 * (ENTRY_BYTES + 200))
    fixture.committed[0] = 100
    for number, fingerprint in enumerate(["f00", "f00", "f01", "f02", "f03"]):
        answer = f'{{"output":{number}}}'.encode()
        entry = LedgerEntry(
            digest(b"r"), 0, number, fixture.ledger.expires_at(), answer, fingerprint=fingerprint
        )
        await fixture.ledger.write(f"r-{number}", entry, fixture.lease)
        if number == 1:
            assert fixture.ledger.answer_to("f00") == b'{"output":1}'

    known = [name for name in ("f00", "f01", "f02", "f03") if fixture.ledger.answer_to(name)]
    assert known == ["f02", "f03"]
    assert len(fixture.ledger) == 2


Written = tuple[int | None, int, float]


def entry_of(written: Written, answer: bytes) -> bytes:
    """Return an entry of that group, generation and end of its time."""
    group, generation, expires_at = written
    return LedgerEntry(
        digest(b"record"), 0, 7, expires_at, answer, generation=generation, group=group
    ).encode()


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ((0, 3, 60), (0, 2, 61), "before"),
        ((0, 3, 60), (0, 2, 9_000), "before"),
        ((0, 3, 9_000), (0, 2, 60), "before"),
        ((0, 3, 9_000), (0, 4, 60), "after"),
        ((0, 9, 60), (50, 1, 61), "after"),
        ((50, 1, 61), (0, 9, 60), "before"),
        ((50, 2, 61), (50, 1, 62), "before"),
        ((None, 3, 60), (None, 2, 61), "before"),
        ((None, 3, 60), (50, 2, 61), "before"),
        ((50, 2, 60), (None, 3, 61), "after"),
        ((None, 9, 60), (50, 1, 71), "after"),
        ((None, 0, 60), (0, 2, 61), "after"),
    ],
    ids=[
        "ended",
        "ended, whose clock is ahead",
        "ended, whose clock is behind",
        "next",
        "next group",
        "group before",
        "ended, of the next group",
        "older version's, ended",
        "ended, after an older version's",
        "older version's, next",
        "next group, after an older version's",
        "version without generations",
    ],
)
def test_entry_of_an_ended_generation_replaces_none(
    before: Written, after: Written, kept: str
) -> None:
    """What a cut-off worker's request brought late is not what its id was answered.

    Clocks and the ledger's time may differ between workers: `expires_at` says nothing.
    """
    fixture = Fixture()

    fixture.ledger.absorb(b"r-1", entry_of(before, b'"before"'))
    fixture.ledger.absorb(b"r-1", entry_of(after, b'"after"'))

    found = fixture.ledger.lookup("r-1")
    assert found is not None
    assert found.answer == f'"{kept}"'.encode()


def test_step_of_an_ended_generation_replaces_none() -> None:
    """It comes late, too, and the next owner's is what its record went on with."""
    fixture = Fixture()
    for generation in (3, 2):
        step = LedgerEntry(
            digest(b"r"), 0, 7, 60.0, step=b"%d" % generation, generation=generation, group=0
        )
        fixture.ledger.absorb(LOGGED_STEP, step.encode())

    found = fixture.ledger.lookup("a", FIRST)
    assert found is not None
    assert found.step == b"3"


def test_entries_of_two_partitions_have_no_order() -> None:
    """Numbers of groups are of one log, and so is the order of entries."""
    fixture = Fixture()
    for partition, group in ((0, 90), (1, 3)):
        entry = LedgerEntry(digest(b"r"), partition, 7, 60.0, b"%d" % partition, group=group)
        fixture.ledger.absorb(b"a", entry.encode())

    found = fixture.ledger.lookup("a")
    assert found is not None
    assert found.answer == b"1"


async def test_entries_carry_the_group_that_writes() -> None:
    """Also those that are written anew: they count as the new ones do."""
    fixture = Fixture()
    old = LedgerEntry(digest(b"r"), 0, 7, fixture.clock() + 60, b"{}", generation=9, group=0)
    fixture.ledger.absorb(b"a", old.encode())
    fixture.ledger.groups.begin({0: 50}, 1)

    await fixture.ledger.renew(b"a", fixture.lease)
    await fixture.write("b", 8)

    for id in ("a", "b"):
        found = fixture.ledger.lookup(id)
        assert found is not None
        assert (found.group, found.generation) == (50, 1 if id == "a" else 0)


async def test_held_entries_are_looked_at_seldom() -> None:
    """Past the bound with nothing to evict, a write does not turn over what is held."""
    fixture, looks = Fixture(max_bytes=1), 0

    def redeliverable(partition: int, offset: int) -> bool:
        nonlocal looks
        looks += 1
        return fixture.redeliverable(partition, offset)

    fixture.ledger._redeliverable = redeliverable
    for offset in range(1_000):
        await fixture.write(f"r-{offset}", offset)

    assert len(fixture.ledger) == 1_000
    assert looks < 2_000  # 16 for each write, were it not so
    fixture.committed[0] = 1_000
    for offset in range(1_000, 1_100 + EVICTION_PAUSE):
        await fixture.write(f"r-{offset}", offset)
        fixture.committed[0] = offset + 1
    assert len(fixture.ledger) < EVICTION_PAUSE, "once they are committed, all of them go"


async def test_steps_are_found_as_long_as_any_is_kept() -> None:
    """That others leave, or that the index is made anew, takes no finished step away."""
    fixture = Fixture()
    step = LedgerEntry(digest(b"r"), 0, 7, fixture.ledger.expires_at(), step=b"{}")
    await fixture.ledger.write("a", step, fixture.lease, step="1")
    await fixture.ledger.write("b", step, fixture.lease, step="1")

    fixture.ledger.forget(STEP)
    fixture.ledger.forget(STEP)
    assert fixture.ledger.lookup("b", FIRST) == step
    fixture.ledger.rebuild({0})
    assert fixture.ledger.lookup("b", FIRST) == step
    await fixture.ledger.write("b", step, fixture.lease, step="1")
    fixture.ledger.forget(LedgerEntry.key("b", FIRST))
    await fixture.ledger.write("a", step, fixture.lease, step="2")
    assert fixture.ledger.lookup("a", step_name("2", digest(b"r"), 0, 7)) == step
    assert fixture.ledger.lookup("b", FIRST) is None


async def test_steps_of_one_id_and_other_content_are_kept_side_by_side() -> None:
    """Also those that were written elsewhere, and are read from the logs of two partitions."""
    fixture, again = Fixture(), Fixture()
    expires_at = fixture.ledger.expires_at()
    one = LedgerEntry(digest(b"r"), 0, 7, expires_at, step=b"1")
    other = LedgerEntry(digest(b"s"), 1, 3, expires_at, step=b"2")

    for entry in (one, other):
        await fixture.ledger.write("a", entry, fixture.lease, step="1")
    for key, value, _ in fixture.changelog.records:
        assert key == LOGGED_STEP, "as older versions read it"
        again.ledger.absorb(key, value)

    for each in (fixture, again):
        each.ledger.rebuild({0, 1})
        assert each.ledger.lookup("a", FIRST) == one
        assert each.ledger.lookup("a", step_name("1", digest(b"s"), 1, 3)) == other
        each.ledger.rebuild({1})
        assert len(each.ledger) == len(each.stored) == 1


async def test_steps_that_an_older_version_kept_on_disk_are_found() -> None:
    """There they stand under their numbers."""
    fixture = Fixture()
    step = LedgerEntry(digest(b"r"), 0, 7, fixture.ledger.expires_at(), step=b"1")
    fixture.hold({LOGGED_STEP: step})

    fixture.ledger.rebuild({0})

    assert fixture.ledger.lookup("a", FIRST) == step
    assert fixture.stored == {STEP: step.encode()}
    fixture.ledger.forget(STEP)
    assert fixture.stored == {}


@pytest.mark.parametrize("id", ["a#1", "a:1", "a\x001", "a\u00ff1"])
async def test_no_id_has_the_key_of_a_step(id: str) -> None:
    """Whatever a producer calls its record, it takes no other record's finished step away."""
    fixture = Fixture()
    step = LedgerEntry(digest(b"r"), 0, 7, fixture.ledger.expires_at(), step=b"{}")
    await fixture.ledger.write("a", step, fixture.lease, step="1")

    await fixture.write(id, 8)

    assert fixture.ledger.lookup("a", FIRST) == step
    assert fixture.ledger.lookup("a") is None


Finished = tuple[bytes, int, bool]


@pytest.mark.parametrize(
    ("finished", "is_kept"),
    [
        ([(b"r", 7, True)], False),
        ([(b"r", 3, True)], True),
        ([(b"r", 9, True)], True),
        ([(b"r", 7, True), (b"r", 9, True)], False),
        ([(b"s", 7, True)], True),
        ([(b"r", 7, False)], False),
        ([(b"r", 9, False)], False),
        ([(b"r", 3, False)], False),
        ([(b"s", 7, False)], True),
    ],
    ids=str,
)
async def test_steps_that_are_read_behind_the_index_leave_with_their_record(
    finished: list[Finished], is_kept: bool
) -> None:
    """A recovery reads steps and outcomes after the index was made anew.

    Another record of the id may be a dead letter before or behind it; and at its own place an
    input that was made anew had another record.
    """
    fixture = Fixture()
    expires_at = fixture.ledger.expires_at()
    step = LedgerEntry(digest(b"r"), 0, 7, expires_at, step=b"{}")
    fixture.ledger.absorb(LOGGED_STEP, step.encode())
    for content, offset, is_dead in finished:
        outcome: dict[str, Any] = {"dead_letter": {"k": "v"}} if is_dead else {"answer": b"{}"}
        entry = LedgerEntry(digest(content), 0, offset, expires_at, **outcome)
        fixture.ledger.absorb(b"a", entry.encode())

    assert fixture.ledger.forget_finished_steps() == (not is_kept)

    assert (fixture.ledger.lookup("a", FIRST) is not None) is is_kept
    assert (STEP in fixture.stored) is is_kept


async def test_dead_outcomes_beside_later_ones_are_bounded() -> None:
    """An id that is sent again and again takes no more room than other ids."""
    fixture = Fixture(max_bytes=8_000)
    for offset in range(100):
        fixture.committed[0] = offset
        entry = LedgerEntry(
            digest(b"r"), 0, offset, fixture.ledger.expires_at(), dead_letter={"k": "v"}
        )
        await fixture.ledger.write("a", entry, fixture.lease)

    assert fixture.ledger.size_bytes <= 8_000
    assert len(fixture.stored) == len(fixture.ledger) < 12
    assert fixture.ledger.outcome_at("a", 0, 98) is not None
    assert fixture.ledger.outcome_at("a", 0, 0) is None


async def test_dead_outcome_whose_later_one_is_refused_stays_as_it_is() -> None:
    """What Kafka did not take is not remembered, and what it did is not forgotten."""
    fixture = Fixture()
    dead = LedgerEntry(digest(b"r"), 0, 1, fixture.ledger.expires_at(), dead_letter={"k": "v"})
    await fixture.ledger.write("a", dead, fixture.lease)
    fixture.changelog.error = RuntimeError("refused")

    with pytest.raises(RuntimeError):
        await fixture.write("a", 2)

    assert fixture.ledger.lookup("a") == dead


@pytest.mark.parametrize(
    "later", [(0, 1), (None, 0)], ids=["of a new group", "of an older version"]
)
async def test_entries_of_a_log_made_anew_replace_what_is_kept(
    later: tuple[int | None, int],
) -> None:
    """Ranks are of one log: the old one's entries count until the new one has others."""
    fixture = Fixture()
    group, generation = later
    old = LedgerEntry(digest(b"r"), 0, 7, 60.0, b"1", generation=9, group=40)
    for id in ("a", "b"):
        fixture.ledger.absorb(LedgerEntry.key(id, ""), old.encode())
    new = old._replace(answer=b"2", generation=generation, group=group)

    fixture.ledger.absorb(b"a", new.encode())
    assert fixture.ledger.lookup("a") == old
    fixture.ledger.outdate(1)
    fixture.ledger.absorb(b"a", new.encode())
    assert fixture.ledger.lookup("a") == old, "of another partition"
    fixture.ledger.outdate(0)
    fixture.ledger.absorb(b"a", new.encode())

    assert fixture.ledger.lookup("a") == new
    kept = fixture.ledger.lookup("b")
    assert kept is not None
    assert kept.answer == b"1"
