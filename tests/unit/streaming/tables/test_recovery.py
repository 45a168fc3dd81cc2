"""The start of the tables."""

from collections import Counter
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from faust.tables import TableManager
from faust.types import TP
from mode.utils.queues import FlowControlEvent
from mode.utils.times import Seconds

from streamapp.errors import DeliveryFailed
from streamapp.streaming.consumer.input_queue import InputQueue
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.recovery import PositionRecovery, Tables
from streamapp.streaming.tables.topic_table import TopicTable


class Watched(Tables):
    """Notes what a start does, and does nothing of it."""

    def __init__(self) -> None:
        self.did: list[str] = []

    async def sleep(self, n: Seconds) -> None:
        self.did.append(f"slept {n}")

    async def _update_channels(self) -> None:
        self.did.append("registered")

    @property
    def recovery(self) -> Any:
        async def start() -> None:
            self.did.append("recovery started")

        return SimpleNamespace(start=start)


async def test_tables_are_registered_without_a_sleep() -> None:
    """A worker joins its group as soon as it can."""
    tables = Watched()

    await tables.on_start()

    assert tables.did == ["registered", "recovery started"]


async def test_faust_does_the_same_after_a_sleep() -> None:
    """What Faust does at the start is what we do, but for the second that it waits."""
    tables = Watched()
    tables.__dict__["_stopped"] = SimpleNamespace(is_set=lambda: False)
    tables.__dict__["_crashed"] = SimpleNamespace(is_set=lambda: False)

    await TableManager.on_start(cast(TableManager, tables))

    assert tables.did == ["slept 1.0", "registered", "recovery started"]


class Recovering(PositionRecovery):
    """A recovery with one changelog, and the ends that fetches would tell."""

    def __init__(self, tp: TP, *, answered: int, fetched: int, table: object) -> None:
        self.tp_to_table = cast(Any, {tp: table})
        self.active_highwaters = Counter({tp: answered - 1})
        self.asked: list[TP] = []
        self._fetched = fetched
        self.log = cast(Any, SimpleNamespace(info=lambda *args: None))
        self.active_offsets = Counter({tp: 0})
        self._ids = {}

    async def _ends(self, tps: Collection[TP]) -> Mapping[TopicPartition, int]:
        self.asked += tps
        return {TopicPartition(tp.topic, tp.partition): self._fetched for tp in tps}


class EmptyLog:
    """A consumer whose partitions begin at 0.

    Args:
        id: Of each topic; a broker that tells none where it is empty.
        agreed: What all brokers say together.
    """

    def __init__(self, id: bytes = b"", agreed: bytes | None = None) -> None:
        self._id, self._agreed = id, id if agreed is None else agreed

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> dict[str, bytes]:
        id = self._agreed if every_broker else self._id
        return dict.fromkeys(topics, id) if id else {}

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)


@pytest.mark.parametrize("table", [AnswersTable.__new__(AnswersTable), object()])
@pytest.mark.parametrize(
    ("answered", "is_asked"), [(214, True), (216, False)], ids=["embedded broker", "Kafka"]
)
async def test_an_end_that_leaves_out_a_batch_is_no_loss(
    table: object, answered: int, is_asked: bool
) -> None:
    """A worker that read offset 215 goes on where the broker says 213 and hands out 215.

    Faust compares both numbers, and ends the worker where more was read than there is.
    """
    tp = TP("streamapp-answers-changelog", 4)
    recovery = Recovering(tp, answered=answered, fetched=216, table=table)
    read = Counter({tp: 215})

    await recovery._build_offsets(EmptyLog(), {tp}, read, "active")

    assert (read[tp], recovery.active_highwaters[tp]) == (215, 215)
    assert recovery.asked == ([tp] if is_asked else [])


async def test_answers_are_read_anew_from_a_changelog_that_was_made_anew() -> None:
    """Their own reader begins again; Faust has nothing to compare."""
    tp = TP("streamapp-answers-changelog", 4)
    table = AnswersTable.__new__(AnswersTable)
    recovery = Recovering(tp, answered=3, fetched=3, table=table)
    read = Counter({tp: 215})

    await recovery._build_offsets(EmptyLog(), {tp}, read, "active")

    assert read[tp] == recovery.active_highwaters[tp] == 2


class Topic(TopicTable):
    """A table that notes that it begins anew, at the second try where the broker is away."""

    def __init__(self, *failures: Exception) -> None:
        self.begun = 0
        self._failures = list(failures)

    async def begin_anew(self) -> None:
        if self._failures:
            raise self._failures.pop()
        self.begun += 1


PROMPTS = TP("llm.prompts", 0)


async def read_again(recovery: Recovering, log: EmptyLog, *, read: int) -> int:
    """Begin a recovery of a table that has read so far; return where its reading starts."""
    recovery.active_offsets = Counter({PROMPTS: read})
    await recovery._build_offsets(log, {PROMPTS}, recovery.active_offsets, "active")
    return recovery.active_offsets[PROMPTS]


async def test_table_of_a_topic_with_another_id_is_read_from_its_beginning() -> None:
    """However many records it holds by now, and once."""
    table = Topic()
    recovery = Recovering(PROMPTS, answered=9, fetched=9, table=table)

    assert await read_again(recovery, EmptyLog(b"1"), read=5) == 5
    assert await read_again(recovery, EmptyLog(b"2"), read=5) == -1
    assert await read_again(recovery, EmptyLog(b"2"), read=8) == 8
    assert table.begun == 1


@pytest.mark.parametrize("agreed", [b"1", b""], ids=["the old one", "no one"])
async def test_id_that_one_broker_alone_tells_changes_nothing(agreed: bytes) -> None:
    """It may be behind."""
    table = Topic()
    recovery = Recovering(PROMPTS, answered=9, fetched=9, table=table)

    await read_again(recovery, EmptyLog(b"1"), read=5)

    assert await read_again(recovery, EmptyLog(b"2", agreed), read=5) == 5
    assert table.begun == 0


async def test_table_that_has_read_more_than_there_is_begins_anew() -> None:
    """Brokers that tell no ids show it by the end alone: Faust would end the worker."""
    table = Topic()
    recovery = Recovering(PROMPTS, answered=2, fetched=2, table=table)

    assert await read_again(recovery, EmptyLog(), read=5) == -1
    assert table.begun == 1


async def test_topic_that_a_table_cannot_begin_anew_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker that is away, or does not take what the table tells, ends no worker."""
    monkeypatch.setattr("streamapp.streaming.tables.recovery.RETRY_S", 0)
    table = Topic(KafkaConnectionError(), DeliveryFailed("llm.prompts: refused"))
    recovery = Recovering(PROMPTS, answered=0, fetched=0, table=table)

    assert await read_again(recovery, EmptyLog(), read=5) == -1
    assert table.begun == 1


async def test_an_end_without_a_record_is_told_by_an_event_that_was_seen() -> None:
    """The queue of the changelogs weighs what it takes, and this as well."""
    tp = TP("streamapp-answers-changelog", 4)
    queue = InputQueue(10, flow_control=FlowControlEvent())
    recovery = PositionRecovery.__new__(PositionRecovery)
    consumer = SimpleNamespace(hole_at_end=lambda tp, offset: 9)
    recovery.app = cast(Any, SimpleNamespace(consumer=consumer))
    recovery.tables = cast(Any, SimpleNamespace(changelog_queue=queue))
    recovery.active_tps = {tp}
    recovery.active_offsets, recovery.active_highwaters = Counter({tp: 6}), Counter({tp: 8})

    recovery.pass_holes()

    assert recovery.active_offsets[tp] == 8
    message = queue.get_nowait().message
    assert (message.tp, message.offset) == (tp, -1)
