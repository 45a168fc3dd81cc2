"""The table behind the ledger: what of each partition is missing, and what reads it."""

import asyncio
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faust
import faust.streams
import pytest
from faust.types import TP

from streamapp.errors import LeaseLost
from streamapp.streaming.log_place import LogPlace, mark_of
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.window.lease import Lease

CHANGELOG = "t-answers-changelog"
ID = bytes(range(20))


class FakeEmitter:
    """Delivers to the next offset, or fails."""

    def __init__(self) -> None:
        self.offset = 0
        self.error: Exception | None = None
        self.records: list[tuple[str, bytes, bytes, int]] = []

    async def emit(self, topic: Any, lease: Lease, **record: Any) -> Any:
        if self.error is not None:
            raise self.error
        name, partition = topic.get_topic_name(), record["partition"]
        self.records.append((name, record["key"], record["value"], partition))
        return SimpleNamespace(topic_partition=TP(name, partition), offset=self.offset)


class Fixture:
    """A table on an app that never starts; its recoveries end when a test says so."""

    def __init__(self, data: Path, store: str = "memory://") -> None:
        self.app = faust.App(
            "t", broker="kafka://127.0.0.1:1", store=store, datadir=str(data), env={}
        )
        self.emitter = FakeEmitter()
        self.recoveries: list[set[int]] = []
        self.mine: set[int] = set()
        self.may_end = asyncio.Event()
        self.table = AnswersTable(
            self.app,
            cast(Any, self.emitter),
            partitions=4,
            mine=lambda: self.mine,
            recover=self._recover,
        )

    async def append(self, offset: int, *, partition: int = 0) -> None:
        self.emitter.offset = offset
        await self.table.append(b"id", b"entry", partition, Lease(1))

    def starts(self, *partitions: int) -> dict[int, LogPlace]:
        """Return them as a recovery asks for them."""
        self.table.show(set(partitions))
        return self.table.starts(set(partitions))

    async def recover(self, *partitions: int) -> None:
        self.mine = set(partitions)
        # A leader that did not know the changelog has given out none of it.
        await self.table.on_recovery_completed(set(), set())

    async def _recover(self, partitions: set[int]) -> None:
        self.recoveries.append(partitions)
        await self.may_end.wait()


@pytest.fixture(params=["memory://", "rocksdb://"])
async def fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Fixture:
    """A table that holds nothing."""
    return Fixture(tmp_path, request.param)


async def test_partition_is_read_from_where_it_was_read_to(fixture: Fixture) -> None:
    """A rebalance that leaves a partition here has none of it read twice."""
    assert fixture.starts(0, 1) == {0: LogPlace(0), 1: LogPlace(0)}
    fixture.table.was_read({0: LogPlace(7, ID), 1: LogPlace(3, ID)})

    assert fixture.starts(0, 1) == {0: LogPlace(7, ID), 1: LogPlace(3, ID)}


async def test_partition_that_was_another_workers_is_read_anew(tmp_path: Path) -> None:
    """Its entries have left the memory meanwhile: what was read of it once says nothing."""
    fixture = Fixture(tmp_path)
    fixture.starts(0, 1)
    fixture.table.was_read({0: LogPlace(7, ID), 1: LogPlace(3, ID)})

    assert fixture.starts(1, 2) == {1: LogPlace(3, ID), 2: LogPlace(0)}
    assert fixture.starts(0, 1) == {0: LogPlace(0), 1: LogPlace(3, ID)}


async def test_entry_goes_to_the_records_own_partition(fixture: Fixture) -> None:
    """Whoever owns the record's partition next finds what became of the record."""
    await fixture.append(0, partition=3)

    assert fixture.emitter.records == [(CHANGELOG, b"id", b"entry", 3)]


@pytest.mark.parametrize(
    ("offset", "start"),
    [(7, 8), (9, 7), (2, 7)],
    ids=["next", "behind another's", "of a log made anew"],
)
async def test_own_entry_is_not_read_back_where_nothing_is_before_it(
    fixture: Fixture, offset: int, start: int
) -> None:
    """What another worker wrote in between, before it knew of the rebalance, is still read."""
    fixture.starts(0)
    fixture.table.was_read({0: LogPlace(7, ID)})

    await fixture.append(offset)

    last = mark_of(b"id", b"entry") if start == offset + 1 else b""
    assert fixture.starts(0) == {0: LogPlace(start, ID, last)}


async def test_entry_that_was_not_delivered_is_not_noted(fixture: Fixture) -> None:
    """A lost lease leaves the table where it was."""
    fixture.starts(0)
    fixture.emitter.error = LeaseLost()

    with pytest.raises(LeaseLost):
        await fixture.append(0)

    assert fixture.starts(0) == {0: LogPlace(0)}


async def test_recovery_reads_this_workers_partitions(fixture: Fixture) -> None:
    """The window opens behind it: it returns when the reading has ended."""
    recovering = asyncio.ensure_future(fixture.recover(0, 2))
    await asyncio.sleep(0)
    assert fixture.recoveries == [{0, 2}]
    assert not recovering.done()

    fixture.may_end.set()

    await recovering


async def test_reading_that_a_rebalance_overtook_is_ended(fixture: Fixture) -> None:
    """Else it would fill the store with partitions that are another worker's by then."""
    overtaken = asyncio.ensure_future(fixture.recover(0))
    await asyncio.sleep(0)

    recovering = asyncio.ensure_future(fixture.recover(1))
    await asyncio.wait([overtaken])

    assert overtaken.cancelled()
    assert not recovering.done()
    fixture.may_end.set()
    await recovering
    assert fixture.recoveries == [{0}, {1}]


async def test_stop_ends_a_reading(fixture: Fixture) -> None:
    """A worker that is stopped while it joins does not read to the end first."""
    recovering = asyncio.ensure_future(fixture.recover(0))
    await asyncio.sleep(0)

    await fixture.table.on_stop()
    await asyncio.wait([recovering])

    assert recovering.cancelled()


class Handled:
    """An event of partition 0."""

    message = SimpleNamespace(partition=0)


async def test_entry_is_kept_in_its_partition_whatever_record_is_handled(fixture: Fixture) -> None:
    """There alone it is found: Faust looks into that of the record, or into all of them."""
    fixture.starts(0, 1)
    entries, event = fixture.table.entries, Handled()
    token = faust.streams._current_event.set(cast(Any, weakref.ref(event)))
    try:
        entries.put(b"id", b"entry", 1)
        entries.drop(b"id", 0)

        assert [entries.read(b"id", partition) for partition in range(3)] == [None, b"entry", None]
        assert [*entries.held()] == [(b"id", b"entry", 1)]
        entries.drop(b"id", 1)
        assert [*entries.held()] == []
    finally:
        faust.streams._current_event.reset(token)


async def test_what_faust_reads_behind_the_end_that_it_knows_is_not_taken(
    fixture: Fixture,
) -> None:
    """A disk noted it as all that the partition has, and what stands before it was paid again."""
    fixture.starts(1)
    message = SimpleNamespace(
        topic=CHANGELOG, partition=1, tp=TP(CHANGELOG, 1), offset=7, key=b"id", value=b"entry"
    )

    fixture.table.apply_changelog_batch([cast(Any, SimpleNamespace(message=message))])

    assert fixture.starts(1) == {1: LogPlace(0)}
    assert [*fixture.table.entries.held()] == []
