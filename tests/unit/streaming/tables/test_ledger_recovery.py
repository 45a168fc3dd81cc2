"""The ledger's recovery: in which order it works, and what its failures end."""

import asyncio
from collections.abc import Callable, Collection
from math import inf
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from structlog.testing import capture_logs

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
from streamapp.streaming.log_place import LogPlace
from streamapp.streaming.tables.entry_store import MemoryEntries
from streamapp.streaming.tables.ledger_recovery import LedgerRecovery
from streamapp.streaming.window.membership import Membership

Take = Callable[[int, int, bytes | None, bytes | None], None]


class Fixture:
    """Ledger, table and changelog in one; ``steps`` has what was done to them, in order."""

    unreadable = 0

    def __init__(self) -> None:
        self.steps: list[tuple[str, object]] = []
        self.fatal: list[BaseException] = []
        self.committed_error: Exception | None = None
        self.read_error: Exception | None = None
        self.rebuild_error: Exception | None = None
        self.there: set[int] = {0, 2}
        self.known: Collection[int] = ()
        self.unread: list[set[int]] = []
        self.reading: asyncio.Event | None = None
        self.recovery = LedgerRecovery(
            cast(Any, self),
            cast(Any, self),
            cast(Any, self),
            look_up_committed=self._look_up_committed,
            membership=Membership,
            session_s=6,
            there=lambda: self.known,
            on_unread=lambda partitions: self.unread.append(set(partitions)),
            on_fatal=self.fatal.append,
        )

    def __len__(self) -> int:
        return 1

    async def _look_up_committed(self) -> None:
        self.steps.append(("committed", None))
        if self.committed_error is not None:
            raise self.committed_error

    def show(self, partitions: set[int]) -> None:
        self.steps.append(("show", set(partitions)))

    def starts(self, partitions: set[int]) -> dict[int, LogPlace]:
        self.steps.append(("starts", set(partitions)))
        return dict.fromkeys(partitions, LogPlace(5, b"old"))

    def rebuild(self, partitions: set[int]) -> None:
        self.steps.append(("rebuild", set(partitions)))
        if self.rebuild_error is not None:
            raise self.rebuild_error

    @property
    def groups(self) -> "Fixture":
        return self

    def is_above(self, generation: float, partitions: dict[int, int]) -> bool:
        return False

    def begin(self, ends: dict[int, int], generation: float) -> None:
        self.steps.append(("begin", dict(ends)))

    async def read(
        self, starts: dict[int, LogPlace], take: Take, *, on_anew: Callable[[int], None]
    ) -> dict[int, LogPlace]:
        self.steps.append(("read", dict(starts)))
        on_anew(0)
        take(0, 5, b"id", b"entry")
        if self.reading is not None:
            self.reading.set()
            await asyncio.Event().wait()
        if self.read_error is not None:
            raise self.read_error
        return dict.fromkeys(starts.keys() & self.there, LogPlace(6, b"new"))

    def outdate(self, partition: int) -> None:
        self.steps.append(("outdate", partition))

    def absorb(self, key: bytes, value: bytes) -> None:
        self.steps.append(("absorb", (key, value)))

    def forget_finished_steps(self) -> None:
        self.steps.append(("forget_finished_steps", None))

    def was_read(self, places: dict[int, LogPlace]) -> None:
        self.steps.append(("was_read", dict(places)))


async def test_what_is_missing_is_read_into_a_ledger_of_these_partitions() -> None:
    """What is committed is known first: by it the ledger knows what it may forget."""
    fixture = Fixture()

    await fixture.recovery({0, 2})

    assert fixture.steps == [
        ("committed", None),
        ("show", {0, 2}),
        ("rebuild", {0, 2}),
        ("starts", {0, 2}),
        ("read", dict.fromkeys((0, 2), LogPlace(5, b"old"))),
        ("outdate", 0),
        ("absorb", (b"id", b"entry")),
        ("forget_finished_steps", None),
        ("begin", {0: 6, 2: 6}),
        ("was_read", dict.fromkeys((0, 2), LogPlace(6, b"new"))),
    ]
    assert fixture.fatal == []
    assert fixture.unread == [set()]


async def test_partition_that_the_changelog_lacks_is_named_and_read_once_it_is_there() -> None:
    """From where it was to be read; the others are not read again."""
    fixture = Fixture()
    await fixture.recovery({0, 2, 4, 5})
    assert fixture.unread == [{4, 5}]
    await fixture.recovery.look_again()
    assert fixture.unread == [{4, 5}], "nobody has heard of it"

    for known, is_there, unread in (
        ({0, 2, 4}, False, {4, 5}),  # the broker that is asked may be behind
        ({0, 2, 4}, True, {5}),
        ({0, 2, 4, 5}, True, set()),
    ):
        fixture.known, fixture.there = known, known if is_there else {0, 2}
        fixture.steps.clear()
        await fixture.recovery.look_again()
        assert fixture.unread[-1] == unread
        assert ("rebuild", {0, 2, 4, 5}) not in fixture.steps
    await fixture.recovery.look_again()

    assert fixture.steps == [
        ("starts", {5}),
        ("read", {5: LogPlace(5, b"old")}),
        ("outdate", 0),
        ("absorb", (b"id", b"entry")),
        ("forget_finished_steps", None),
        ("begin", {5: 6}),
        ("was_read", {5: LogPlace(6, b"new")}),
    ]


async def test_recovery_that_begins_ends_a_look_for_what_was_not_there() -> None:
    """Its partitions are others: what the look would still read is none of them."""
    fixture = Fixture()
    await fixture.recovery({0, 4})
    fixture.known, fixture.reading = {0, 4}, asyncio.Event()
    looking = asyncio.ensure_future(fixture.recovery.look_again())
    await fixture.reading.wait()

    fixture.reading = None
    await fixture.recovery({0})
    await looking

    assert fixture.unread == [{4}, set()]
    assert fixture.steps[-1] == ("was_read", {0: LogPlace(6, b"new")})
    assert fixture.fatal == []


async def test_look_that_fails_ends_the_worker() -> None:
    """As a recovery does."""
    fixture = Fixture()
    await fixture.recovery({0, 4})
    fixture.known, fixture.read_error = {4}, RuntimeError("a bug")

    await fixture.recovery.look_again()

    assert fixture.fatal == [fixture.read_error]


@pytest.mark.parametrize(
    "error", [KafkaConnectionError(), TimeoutError(), RuntimeError("a bug")], ids=repr
)
async def test_committed_offsets_that_nobody_tells_stop_no_recovery(error: Exception) -> None:
    """The ledger then remembers more than it has to; the log says so."""
    fixture = Fixture()
    fixture.committed_error = error

    with capture_logs() as lines:
        await fixture.recovery({0})

    assert lines[0]["event"] == "ledger.committed_unknown"
    assert fixture.steps[-1] == ("was_read", {0: LogPlace(6, b"new")})


@pytest.mark.parametrize("error", [KafkaError(), RuntimeError("a bug")], ids=repr)
async def test_changelog_that_cannot_be_read_ends_the_worker(error: Exception) -> None:
    """Without its entries records would be paid twice, and Faust alone would go on."""
    fixture = Fixture()
    fixture.read_error = error

    with pytest.raises(type(error)):
        await fixture.recovery({0})

    assert fixture.fatal == [error]
    assert "was_read" not in dict(fixture.steps)


async def test_rebuild_that_fails_ends_the_worker() -> None:
    """As what is read behind it does; nothing would tell that the entries are missing."""
    fixture = Fixture()
    fixture.rebuild_error = RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await fixture.recovery({0})

    assert fixture.fatal == [fixture.rebuild_error]


class Member:
    """A worker that joined in one generation; a heartbeat tells the group's.

    Args:
        own: What it was told in its join.
        taken: Of the heartbeat that the group takes; infinite where it takes none.
    """

    def __init__(self, own: float, taken: float) -> None:
        self.generation = own
        self.taken = taken
        self.asked: list[float] = []

    async def current_generation(self, *, within_s: float) -> float:
        self.asked.append(within_s)
        return self.taken


class Changelog:
    """One entry of one record of another worker, and where the log ends."""

    end = 12

    def __init__(self, member: Member) -> None:
        self.member = member

    async def read(
        self, starts: dict[int, LogPlace], take: Take, *, on_anew: Callable[[int], None]
    ) -> dict[int, LogPlace]:
        assert not self.member.asked, "before it was read"
        entry = LedgerEntry(digest(b"r"), 0, 7, 1_000, b"{}", generation=9, group=0)
        take(0, self.end - 1, b"id", entry.encode())
        return dict.fromkeys(starts, LogPlace(self.end))


SESSION_S = 10


async def number(member: Member) -> int | None:
    """Return the number of the group that writes after a recovery."""
    store = MemoryEntries()

    async def append(*entry: Any) -> None: ...

    async def look_up() -> None: ...

    ledger = Ledger(
        lambda: store,
        append,
        redeliverable=lambda partition, offset: True,
        now=lambda: 0.0,
        ttl_s=1_000,
        session_s=SESSION_S,
        max_bytes=10_000,
    )
    recovery = LedgerRecovery(
        ledger,
        cast(Any, Fixture()),
        cast(Any, Changelog(member)),
        look_up_committed=look_up,
        membership=lambda: cast(Any, member),
        session_s=SESSION_S,
        there=tuple,
        on_unread=lambda partitions: None,
        on_fatal=lambda error: None,
    )
    await recovery({0})
    return ledger.groups.number(0)


async def test_generation_that_the_group_has_not_reached_is_an_earlier_groups() -> None:
    """It was deleted and began anew: what is written now counts before all that it wrote."""
    member = Member(own=2, taken=2)

    assert await number(member) == Changelog.end
    assert member.asked == [SESSION_S]


@pytest.mark.parametrize("taken", [9, 12, inf], ids=["its own", "past it", "nobody tells"])
async def test_generation_that_the_group_may_have_reached_is_its_own(taken: float) -> None:
    """The group went on without this worker, whose late entries must not count."""
    assert await number(Member(own=2, taken=taken)) == 0


@pytest.mark.parametrize("own", [9, 10])
async def test_generation_that_is_no_lower_is_nothing_to_ask_about(own: int) -> None:
    """Its partition's last owner wrote in a generation that this worker knows of."""
    member = Member(own=own, taken=own)

    assert await number(member) == 0
    assert member.asked == []
