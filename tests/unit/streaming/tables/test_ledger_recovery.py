"""The ledger's recovery: in which order it works, and what its failures end."""

from collections.abc import Callable
from math import inf
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from structlog.testing import capture_logs

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
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
        self.recovery = LedgerRecovery(
            cast(Any, self),
            cast(Any, self),
            cast(Any, self),
            look_up_committed=self._look_up_committed,
            membership=Membership,
            session_s=6,
            on_fatal=self.fatal.append,
        )

    def __len__(self) -> int:
        return 1

    async def _look_up_committed(self) -> None:
        self.steps.append(("committed", None))
        if self.committed_error is not None:
            raise self.committed_error

    def starts(self, partitions: set[int]) -> dict[int, int]:
        self.steps.append(("starts", set(partitions)))
        return dict.fromkeys(partitions, 5)

    def rebuild(self, partitions: set[int]) -> None:
        self.steps.append(("rebuild", set(partitions)))

    async def read(self, starts: dict[int, int], take: Take) -> dict[int, int]:
        self.steps.append(("read", dict(starts)))
        take(0, 5, b"id", b"entry")
        if self.read_error is not None:
            raise self.read_error
        return dict.fromkeys(starts, 6)

    def absorb(self, key: bytes, value: bytes) -> int:
        self.steps.append(("absorb", (key, value)))
        return 0

    def forget_finished_steps(self) -> None:
        self.steps.append(("forget_finished_steps", None))

    def was_read(self, ends: dict[int, int]) -> None:
        self.steps.append(("was_read", dict(ends)))


async def test_what_is_missing_is_read_into_a_ledger_of_these_partitions() -> None:
    """What is committed is known first: by it the ledger knows what it may forget."""
    fixture = Fixture()

    await fixture.recovery({0, 2})

    assert fixture.steps == [
        ("committed", None),
        ("starts", {0, 2}),
        ("rebuild", {0, 2}),
        ("read", {0: 5, 2: 5}),
        ("absorb", (b"id", b"entry")),
        ("forget_finished_steps", None),
        ("was_read", {0: 6, 2: 6}),
    ]
    assert fixture.fatal == []


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError()], ids=repr)
async def test_committed_offsets_that_nobody_tells_stop_no_recovery(error: Exception) -> None:
    """The ledger then remembers more than it has to; the log says so."""
    fixture = Fixture()
    fixture.committed_error = error

    with capture_logs() as lines:
        await fixture.recovery({0})

    assert lines[0]["event"] == "ledger.committed_unknown"
    assert fixture.steps[-1] == ("was_read", {0: 6})


@pytest.mark.parametrize("error", [KafkaError(), RuntimeError("a bug")], ids=repr)
async def test_changelog_that_cannot_be_read_ends_the_worker(error: Exception) -> None:
    """Without its entries records would be paid twice, and Faust alone would go on."""
    fixture = Fixture()
    fixture.read_error = error

    with pytest.raises(type(error)):
        await fixture.recovery({0})

    assert fixture.fatal == [error]
    assert "was_read" not in dict(fixture.steps)


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
    """Entries of one record, as (generation, seconds of writing); the place is the answer."""

    def __init__(self, *entries: tuple[int, int]) -> None:
        self.entries = entries
        self.member: Member | None = None

    async def read(self, starts: dict[int, int], take: Take) -> dict[int, int]:
        assert self.member is None or not self.member.asked, "before it was read"
        for place, (generation, written_at) in enumerate(self.entries):
            entry = LedgerEntry(
                digest(b"r"), 0, 7, 1_000 + written_at, b"%d" % place, generation=generation
            )
            take(0, place, b"id", entry.encode())
        return dict.fromkeys(starts, len(self.entries))


SESSION_S = 10
OLD_GROUP, NEW_GROUP = (9, 0), (1, 3)


async def kept(member: Member, *entries: tuple[int, int]) -> int:
    """Return the place of the entry that a recovery leaves."""
    store: dict[bytes, bytes] = {}

    async def append(*entry: Any) -> None: ...

    ledger = Ledger(
        lambda: store,
        append,
        redeliverable=lambda partition, offset: True,
        now=lambda: 0.0,
        ttl_s=1_000,
        session_s=SESSION_S,
        max_bytes=10_000,
    )
    changelog = Changelog(*entries)
    changelog.member = member

    async def look_up() -> None: ...

    recovery = LedgerRecovery(
        ledger,
        cast(Any, Fixture()),
        cast(Any, changelog),
        look_up_committed=look_up,
        membership=lambda: cast(Any, member),
        session_s=SESSION_S,
        on_fatal=lambda error: None,
    )
    await recovery({0})
    found = ledger.lookup("id")
    assert found is not None
    assert found.answer is not None
    return int(found.answer)


async def test_entry_of_a_generation_that_the_group_has_not_reached_is_an_earlier_groups() -> None:
    """The group was deleted and began anew within a session of that entry."""
    member = Member(own=2, taken=2)

    assert await kept(member, OLD_GROUP, NEW_GROUP) == 1
    assert member.asked == [SESSION_S]


@pytest.mark.parametrize("taken", [9, 12, inf], ids=["its own", "past it", "nobody tells"])
async def test_entry_of_a_generation_that_the_group_may_have_reached_counts(taken: float) -> None:
    """The group went on without this worker: another one answered, then one that was cut off."""
    assert await kept(Member(own=2, taken=taken), OLD_GROUP, NEW_GROUP) == 0


async def test_entry_of_a_worker_that_was_cut_off_is_nothing_to_ask_about() -> None:
    """Its partition's next owner wrote in a generation that this worker knows of."""
    member = Member(own=9, taken=9)

    assert await kept(member, (9, 0), (8, 3)) == 0
    assert member.asked == []


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ([OLD_GROUP, NEW_GROUP, (1, 15)], 2),
        ([OLD_GROUP, NEW_GROUP, (2, 4)], 2),
        ([OLD_GROUP, (2, 3), (1, 4)], 1),
    ],
    ids=["a session later", "the next owner's", "one that was cut off"],
)
async def test_of_the_new_groups_entries_the_ordinary_one_counts(
    entries: list[tuple[int, int]], place: int
) -> None:
    """What was kept out at first replaces nothing that stands behind it."""
    assert await kept(Member(own=2, taken=2), *entries) == place
