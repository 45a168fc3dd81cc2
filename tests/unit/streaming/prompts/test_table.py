"""The table of prompts between Faust's habits and the history."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import faust
import pytest
from faust.types import TP

from streamapp.prompts.events import encode
from streamapp.prompts.history import History
from streamapp.streaming.prompts.table import SKIPPED_S, TRIES, PromptTable
from tests.fakes import FakeClock
from tests.unit.prompts.test_fold import publish

TOPIC = TP("llm.prompts", 0)


@dataclass
class Message:
    offset: int
    key: bytes = b"p"
    tp: TP = TOPIC
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def value(self) -> bytes:
        return encode(publish(f"text {self.offset}"))


@dataclass
class Event:
    message: Message


class FakeConsumer:
    """A client with the topic, or without; remembers where it was sought to."""

    def __init__(self) -> None:
        self.seeks: list[int] = []
        self.assigned = {TOPIC}
        self.end: int | None = None
        self.hole_end: int | None = None

    def assignment(self) -> set[TP]:
        return self.assigned

    def highwater(self, tp: TP) -> int | None:
        assert tp in self.assigned
        return self.end

    def hole_at_end(self, tp: TP, offset: int) -> int | None:
        return self.hole_end

    async def seek(self, tp: TP, offset: int) -> None:
        assert tp == TOPIC
        self.seeks.append(offset)


class Table:
    """A table on an app that never starts, and a log that may have holes."""

    def __init__(self) -> None:
        self.app = faust.App("t", broker="kafka://127.0.0.1:1", env={})
        self.consumer = FakeConsumer()
        self.app.consumer = cast(Any, self.consumer)
        self.in_log: int | None = None
        self.renewed = History({})
        self.clock = FakeClock()
        self.app.rebalancing = False
        self.table = PromptTable(
            self.app,
            topic=TOPIC.topic,
            first_from=self._first_from,
            renew=self._renew,
            clock=self.clock,
        )

    async def get(self, *offsets: int) -> None:
        for offset in offsets:
            await self.table.on_changelog_event(cast(Any, Event(Message(offset))))

    async def look(self, after_s: float) -> None:
        self.clock.advance(after_s)
        await self.table._seek_skipped()

    @property
    def bodies(self) -> list[str]:
        return [version.body for version in self.table["p"].versions.values()]

    @property
    def seen_by_faust(self) -> int:
        offset: int = cast(Any, self.app.tables).recovery.active_offsets[TOPIC]
        return offset

    async def _renew(self) -> History:
        return self.renewed

    async def _first_from(self, tp: TP, offset: int) -> int | None:
        return self.in_log


@pytest.fixture
async def prompts() -> Table:
    """An empty table."""
    return Table()


async def test_the_topic_is_the_changelog(prompts: Table) -> None:
    """Every worker has all of it: global, one partition, one event at a time."""
    table = prompts.table

    assert table.changelog_topic_name == "llm.prompts"
    assert table.is_global
    assert (table.partitions, table.recovery_buffer_size, table.standby_buffer_size) == (1, 1, 1)


async def test_events_are_folded_once(prompts: Table) -> None:
    """What recovery delivers again changes nothing."""
    await prompts.get(0, 1, 0, 1, 2)

    assert prompts.bodies == ["text 0", "text 1", "text 2"]
    assert prompts.consumer.seeks == []


async def test_a_skipped_event_is_sought_back(prompts: Table) -> None:
    """Nothing behind a gap is applied before the gap is filled, and Faust lets it pass again."""
    await prompts.get(0, 1, 3)
    assert prompts.bodies == ["text 0", "text 1"]
    assert prompts.consumer.seeks == [2]
    assert prompts.seen_by_faust == 1

    await prompts.get(2, 3)

    assert prompts.bodies == ["text 0", "text 1", "text 2", "text 3"]


async def test_a_gap_that_comes_back_is_sought_back_again(prompts: Table) -> None:
    """Faust may skip the same event twice: only the log tells whether it is there."""
    prompts.in_log = 1

    await prompts.get(0, 2, 2)

    assert prompts.consumer.seeks == [1, 1]
    assert prompts.bodies == ["text 0"]


async def test_a_hole_of_the_log_is_passed(prompts: Table) -> None:
    """A transaction's marker is no event."""
    prompts.in_log = 2

    await prompts.get(0, 2, 2, 3)

    assert prompts.bodies == ["text 0", "text 2", "text 3"]


async def test_a_writer_learns_what_became_of_its_event(prompts: Table) -> None:
    """``write`` returns when the event was read back, or says that it was not in time."""

    @dataclass
    class Written:
        offset: int

    class Topic:
        offset = 0

        async def send(self, **options: Any) -> asyncio.Future[Written]:
            assert (options["key"], options["partition"]) == (b"p", 0)
            delivery: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            delivery.set_result(Written(self.offset))
            return delivery

    prompts.table.changelog_topic = cast(Any, Topic())
    writing = asyncio.create_task(prompts.table.write("p", publish("text 0"), timeout_s=5))
    await asyncio.sleep(0)
    await prompts.get(0)

    assert (await writing).version == 1
    assert (await prompts.table.write("p", publish("text 0"), timeout_s=5)).version == 1
    Topic.offset = 1
    with pytest.raises(TimeoutError):
        await prompts.table.write("p", publish("text 1"), timeout_s=0.01)


async def test_skipped_event_that_no_later_one_follows_is_sought_back(prompts: Table) -> None:
    """The last change of a prompt arrives, too, and not before Faust had its time to bring it."""
    await prompts.get(0, 1)
    prompts.consumer.end = 3

    await prompts.look(0)
    await prompts.look(SKIPPED_S)
    assert prompts.consumer.seeks == []
    await prompts.look(0.1)

    assert prompts.consumer.seeks == [2]
    assert prompts.seen_by_faust == 1


async def test_event_that_came_meanwhile_is_waited_for_anew(prompts: Table) -> None:
    """A topic that moves skips nothing."""
    await prompts.get(0)
    prompts.consumer.end = 3
    await prompts.look(0)
    await prompts.get(1)

    await prompts.look(SKIPPED_S + 0.1)

    assert prompts.consumer.seeks == []


async def test_marker_at_the_end_is_not_sought_for_ever(prompts: Table) -> None:
    """What so many seeks do not bring is no event."""
    await prompts.get(0)
    prompts.consumer.end = 2

    for _ in range(2 * TRIES):
        await prompts.look(SKIPPED_S + 0.1)

    assert prompts.consumer.seeks == [1] * TRIES


@pytest.mark.parametrize("reason", ["rebalance", "another's", "unknown end", "hole", "end"])
async def test_nothing_is_sought_where_nothing_is_missing(prompts: Table, reason: str) -> None:
    """A rebalance, or an end that holds no event, is no loss."""
    await prompts.get(0)
    prompts.consumer.end = 2
    if reason == "rebalance":
        prompts.app.rebalancing = True
    elif reason == "another's":
        prompts.consumer.assigned = set()
    elif reason == "unknown end":
        prompts.consumer.end = None
    elif reason == "hole":
        prompts.consumer.hole_end = 2
    else:
        prompts.consumer.end = 1

    await prompts.look(0)
    await prompts.look(SKIPPED_S + 0.1)

    assert prompts.consumer.seeks == []


async def test_history_of_a_topic_made_anew_takes_the_place_of_the_old_one(
    prompts: Table,
) -> None:
    """Only what the new topic tells is there, and its events count from the first on."""
    await prompts.get(0, 1, 2)
    prompts.renewed.apply(0, b"of-a-file", encode(publish("body")))

    await prompts.table.begin_anew()

    assert list(prompts.table.history.prompts) == ["of-a-file"]
    assert prompts.table.history.position == 1
    await prompts.get(0, 1)
    assert prompts.bodies == ["text 1"]
    assert prompts.consumer.seeks == []
