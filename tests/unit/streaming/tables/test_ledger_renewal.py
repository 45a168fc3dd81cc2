"""The ledger's renewal: which entries it writes anew, and when it leaves them."""

import asyncio

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
from streamapp.streaming.tables.entry_store import MemoryEntries
from streamapp.streaming.tables.ledger_renewal import LedgerRenewal
from streamapp.streaming.window.lease import Lease
from tests.fakes import FakeClock

TTL_S = 80.0


class Fixture:
    """A ledger whose records up to ``committed`` are finished."""

    def __init__(self) -> None:
        self.store = MemoryEntries()
        self.appended: list[tuple[bytes, bytes]] = []
        self.clock = FakeClock()
        self.committed = 0
        self.lease = Lease(4)
        self.gate = asyncio.Event()
        self.gate.set()
        self.ledger = Ledger(
            lambda: self.store,
            self.append,
            redeliverable=lambda partition, offset: offset >= self.committed,
            now=self.clock,
            ttl_s=TTL_S,
            session_s=10,
            max_bytes=1_000_000,
        )
        self.renewal = LedgerRenewal(self.ledger, lambda: self.lease, ttl_s=TTL_S)

    async def append(self, key: bytes, value: bytes, partition: int, lease: Lease) -> None:
        await self.gate.wait()
        self.appended.append((key, value))

    def entry(self, offset: int, answer: bytes = b"1") -> LedgerEntry:
        return LedgerEntry(
            digest(b"r"),
            0,
            offset,
            self.ledger.expires_at(),
            answer,
            generation=self.lease.generation,
        )

    async def write(self, id: str, offset: int, step: str = "") -> None:
        await self.ledger.write(id, self.entry(offset), self.lease, step=step)


async def test_old_entries_of_unfinished_records_are_written_anew() -> None:
    """With a new time and the generation of their owner; what is finished or young is left."""
    fixture = Fixture()
    await fixture.write("done", 1)
    await fixture.write("held", 2)
    await fixture.write("held", 2, step="1")
    fixture.committed = 2
    fixture.clock.advance(TTL_S / 4)
    await fixture.write("young", 3)
    fixture.lease = Lease(5)
    fixture.appended.clear()

    await fixture.renewal.renew()
    await fixture.renewal.renew()

    assert [key for key, _ in fixture.appended] == [b"held", b"held\xff1"]
    renewed = LedgerEntry.decode(fixture.appended[0][1])
    assert (renewed.generation, renewed.expires_at) == (5, fixture.ledger.expires_at())
    assert fixture.ledger.lookup("held") == renewed
    assert renewed.answer == b"1"


async def test_what_is_past_its_time_leaves_where_nothing_is_written() -> None:
    """Else a record that comes at its place much later, in an input made anew, finds it there."""
    fixture = Fixture()
    await fixture.write("done", 1)
    fixture.committed = 2
    fixture.clock.advance(TTL_S)

    await fixture.renewal.renew()

    fixture.committed = 0
    assert fixture.ledger.lookup("done") is None
    assert [*fixture.store.held()] == []


async def test_entry_by_a_clock_ahead_is_written_anew() -> None:
    """How old it is cannot be told from it."""
    fixture = Fixture()
    fixture.clock.advance(3_600)
    entry = fixture.entry(1).encode()
    fixture.clock.advance(-3_600)
    fixture.ledger.absorb(b"a", entry)

    await fixture.renewal.renew()

    assert [key for key, _ in fixture.appended] == [b"a"]


async def test_nothing_is_renewed_without_the_right() -> None:
    """The partition's next owner renews what it has read."""
    fixture = Fixture()
    await fixture.write("held", 1)
    fixture.clock.advance(TTL_S / 2)
    fixture.appended.clear()
    fixture.lease.end()

    await fixture.renewal.renew()

    assert fixture.appended == []


async def test_newer_entry_comes_behind_its_renewal() -> None:
    """A later record of the id is answered meanwhile: its entry is the last in the changelog."""
    fixture = Fixture()
    await fixture.write("a", 1)
    fixture.clock.advance(TTL_S / 2)
    fixture.gate.clear()
    renewing = asyncio.create_task(fixture.renewal.renew())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing = asyncio.create_task(fixture.ledger.write("a", fixture.entry(2, b"2"), fixture.lease))
    await asyncio.sleep(0)

    fixture.gate.set()
    await asyncio.gather(renewing, writing)

    assert [LedgerEntry.decode(value).answer for _, value in fixture.appended] == [
        b"1",
        b"1",
        b"2",
    ]
    known = fixture.ledger.lookup("a")
    assert known is not None
    assert known.answer == b"2"


async def test_entry_that_is_being_written_is_left_to_its_writer() -> None:
    """Its old value must not come behind the new one."""
    fixture = Fixture()
    await fixture.write("a", 1)
    fixture.clock.advance(TTL_S / 2)
    fixture.gate.clear()
    writing = asyncio.create_task(fixture.ledger.write("a", fixture.entry(2, b"2"), fixture.lease))
    await asyncio.sleep(0)

    await fixture.renewal.renew()
    fixture.gate.set()
    await writing

    assert [LedgerEntry.decode(value).answer for _, value in fixture.appended] == [b"1", b"2"]


async def test_entry_forgotten_meanwhile_stays_so() -> None:
    """The record is finished while its step is written anew."""
    fixture = Fixture()
    await fixture.write("a", 1, step="1")
    fixture.clock.advance(TTL_S / 2)
    fixture.gate.clear()
    renewing = asyncio.create_task(fixture.renewal.renew())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    fixture.ledger.forget(*fixture.ledger.keys())

    fixture.gate.set()
    await renewing

    assert len(fixture.ledger) == 0
    assert [*fixture.store.held()] == []
