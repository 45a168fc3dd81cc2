import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from streamapp.streaming.flows.first_offsets import BEYOND_S, LOOK_S, FirstOffsets
from streamapp.streaming.window.partition_state import Progress

#: Of a topic that is begun at its end, all of it and the part of this worker; of another one.
NEW = [TP("new", number) for number in range(4)]
MINE, OTHER = NEW[:2], TP("other", 0)
SESSION_S = 10.0


class Group:
    """What is committed, of all workers."""

    def __init__(self, committed: Mapping[TP, int] | None = None, *, refuses: bool = False) -> None:
        self.committed = dict(committed or {})
        self.refuses = refuses
        self.mark: dict[TP, Progress] = {}


class FakeThread:
    def __init__(self, group: Group, assigned: Collection[TP]) -> None:
        self._group = group
        self._assigned = assigned
        self.made_anew: dict[TP, bytes] = {}
        self.read_of: dict[TP, bytes] = {}

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        return {tp: self._group.committed.get(tp) for tp in self._assigned}

    @property
    def committed(self) -> Mapping[TP, int]:
        return self._group.committed

    async def stored(self, partitions: Collection[TP]) -> Mapping[TP, Progress]:
        there = {tp: Progress(at) for tp, at in self._group.committed.items()} | self._group.mark
        return {tp: there[tp] for tp in partitions if tp in there}

    async def commit_beside(self, place: TP, text: str) -> None:
        self._group.mark[place] = Progress(0, text)

    def note_anew(self, partitions: Collection[TP]) -> None:
        self.made_anew |= dict.fromkeys(partitions, b"")

    async def commit_first(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        there = self._group.committed
        if self._group.refuses:
            raise KafkaError("the first offsets")
        there.update({tp: at for tp, at in offsets.items() if tp not in there})
        return {tp: there[tp] for tp in offsets if tp in there}


class FakeCluster:
    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(4))


class FakeConsumer(FirstOffsets):
    """Faust's consumer without a client: what is sought is kept."""

    cluster = FakeCluster()

    def __init__(self, group: Group, assigned: Collection[TP] = (*MINE, OTHER)) -> None:
        self._thread: Any = FakeThread(group, assigned)
        self._beginning = asyncio.Lock()
        self._group = group
        self._later = self._wait_a_look
        self.while_waiting: Callable[[], Awaitable[object]] | None = None
        self.looks = 0
        self.app: Any = SimpleNamespace(
            from_latest={"new"},
            settings=SimpleNamespace(session_timeout_s=SESSION_S, topic="llm.{}".format),
            consumer_generation_id=4,
            client_only=False,
        )
        self.sought: dict[TP, int] = {}
        self.is_stopping = False
        self._commit_fut = None
        self.loop = asyncio.get_running_loop()

    @property
    def should_stop(self) -> bool:
        return self.is_stopping

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return True

    async def _wait_a_look(self, seconds: float) -> None:
        assert seconds == LOOK_S
        self.looks += 1
        if self.looks == 2 and self.while_waiting is not None:
            await self.while_waiting()

    async def _ends(self, partitions: Collection[TP]) -> dict[TP, int]:
        return {tp: 40 + tp.partition for tp in partitions}

    async def seek(self, partition: TP, offset: int) -> None:
        assert partition in self._group.committed, "sought before it was committed"
        self.sought[partition] = offset


async def test_new_flow_begins_at_the_ends_of_all_partitions() -> None:
    """Also of those of other workers, and of empty ones: a crash does not move them."""
    group = Group()
    consumer = FakeConsumer(group)

    found = await consumer.seek_to_committed()

    assert found == {NEW[0]: 40, NEW[1]: 41, OTHER: None}
    assert consumer.sought == {NEW[0]: 40, NEW[1]: 41}
    assert group.committed == {tp: 40 + tp.partition for tp in NEW}


async def test_another_worker_of_a_new_flow_begins_where_the_first_one_said() -> None:
    """Not at an end of its own look."""
    group = Group()
    late = FakeConsumer(group, NEW[2:])
    unseen = dict(await late._thread.seek_to_committed())
    await FakeConsumer(group).seek_to_committed()
    late._thread.seek_to_committed = lambda: _given(unseen)  # its look was before that

    found = await late.seek_to_committed()

    assert found == late.sought == {NEW[2]: 42, NEW[3]: 43}


async def test_the_worker_of_the_first_partition_says_where_a_new_flow_begins() -> None:
    """Of two that look at once the other one waits for it: neither moves what the other noted."""
    group = Group()
    first, other = FakeConsumer(group), FakeConsumer(group, NEW[2:])
    other.while_waiting = first.seek_to_committed
    other._ends = _further_on  # type: ignore[method-assign]  # what was written meanwhile

    found = await other.seek_to_committed()

    assert first.looks == 0
    assert other.looks == 2
    assert first.sought == {NEW[0]: 40, NEW[1]: 41}
    assert found == other.sought == {NEW[2]: 42, NEW[3]: 43}
    assert group.committed == {tp: 40 + tp.partition for tp in NEW}


async def test_looks_of_one_worker_at_the_same_time_find_one_beginning() -> None:
    """Each flow's ledger has the offsets looked for, all of them together."""
    group = Group()
    consumer = FakeConsumer(group)
    ends = iter(range(40, 90, 10))

    async def growing(partitions: Collection[TP]) -> dict[TP, int]:
        end = next(ends)
        await asyncio.sleep(0)  # the others have their turn
        return dict.fromkeys(partitions, end)

    consumer._ends = growing  # type: ignore[method-assign]

    found = await asyncio.gather(*(consumer.seek_to_committed() for _ in range(3)))

    assert found == [{NEW[0]: 40, NEW[1]: 40, OTHER: None}] * 3
    assert group.committed == dict.fromkeys(NEW, 40)


async def test_a_worker_of_other_partitions_waits_for_no_one_for_good() -> None:
    """For longer than the group does: a frozen one is no member by then, and notes nothing."""
    group = Group()
    consumer = FakeConsumer(group, NEW[2:])

    await consumer.seek_to_committed()

    assert consumer.looks * LOOK_S == SESSION_S + BEYOND_S
    assert group.committed == {tp: 40 + tp.partition for tp in NEW}


async def test_worker_that_is_slow_begins_where_others_did_meanwhile() -> None:
    """Theirs are not replaced by its own, which are further on: they take records already."""
    group = Group()
    slow = FakeConsumer(group)

    async def overtaken(partitions: Collection[TP]) -> dict[TP, int]:
        await FakeConsumer(group, NEW[2:]).seek_to_committed()
        return await _further_on(partitions)

    slow._ends = overtaken  # type: ignore[method-assign]

    found = await slow.seek_to_committed()

    assert found == {NEW[0]: 40, NEW[1]: 41, OTHER: None}
    assert slow.sought == {NEW[0]: 40, NEW[1]: 41}
    assert group.committed == {tp: 40 + tp.partition for tp in NEW}


async def test_a_worker_waits_for_another_one_no_longer_than_its_generation() -> None:
    """In the next one the first partition may be its own."""
    consumer = FakeConsumer(Group(), NEW[2:])

    async def rebalance() -> None:
        consumer.app.consumer_generation_id += 1

    consumer.while_waiting = rebalance

    with pytest.raises(IllegalStateError, match="went on"):
        await consumer.seek_to_committed()

    assert consumer.looks == 2


async def test_partition_that_was_added_is_read_from_its_beginning() -> None:
    """What was written there while it waited for a worker is the flow's."""
    group = Group({NEW[0]: 7, NEW[2]: 0})
    consumer = FakeConsumer(group, NEW)

    found = await consumer.seek_to_committed()

    assert found == {NEW[0]: 7, NEW[1]: None, NEW[2]: 0, NEW[3]: None}
    assert consumer.sought == {}
    assert group.committed == {NEW[0]: 7, NEW[2]: 0}


async def test_topic_that_is_made_anew_is_read_from_its_beginning() -> None:
    """The group forgets the offsets of a topic that is deleted; the flow had begun all the same."""
    group = Group({NEW[0]: 7, NEW[1]: 8})
    consumer = FakeConsumer(group)
    await consumer.seek_to_committed()
    group.committed.clear()

    found = await consumer.seek_to_committed()

    assert found == {NEW[0]: 0, NEW[1]: 0, OTHER: None}
    assert group.committed == dict.fromkeys(NEW, 0)


async def test_topic_that_is_made_anew_between_two_workers_is_read_from_its_beginning() -> None:
    """The group forgets the offsets, and not that the flow had begun; neither waits for another."""
    group = Group({NEW[0]: 7, NEW[1]: 8})  # of a version that marked nothing
    await FakeConsumer(group).seek_to_committed()
    group.committed.clear()
    next_one, other = FakeConsumer(group), FakeConsumer(group, NEW[2:])

    assert await other.seek_to_committed() == {NEW[2]: 0, NEW[3]: 0}
    assert await next_one.seek_to_committed() == {NEW[0]: 0, NEW[1]: 0, OTHER: None}

    assert group.committed == dict.fromkeys(NEW, 0)
    assert (other.looks, other._thread.made_anew.keys()) == (0, set(NEW[2:]))


async def test_topic_that_a_seek_begins_anew_is_committed_from_its_beginning() -> None:
    """At once: the next look of that assignment finds nothing, of a topic whose id is known."""
    group = Group()
    consumer = FakeConsumer(group)
    await consumer.seek_to_committed()
    group.committed.clear()
    thread = consumer._thread
    thread.read_of = dict.fromkeys(MINE, b"new")
    thread.made_anew = dict(thread.read_of)
    thread.seek_to_committed = lambda: _given(dict.fromkeys(MINE, 0))
    await consumer.seek_to_committed()
    del thread.seek_to_committed

    found = await consumer.seek_to_committed()

    assert found == {NEW[0]: 0, NEW[1]: 0, OTHER: None}
    assert group.committed == dict.fromkeys(MINE, 0)


async def test_flow_whose_group_was_deleted_is_new() -> None:
    """The mark goes with the offsets."""
    group = Group()
    await FakeConsumer(group).seek_to_committed()
    group.committed.clear()
    group.mark.clear()

    found = await FakeConsumer(group).seek_to_committed()

    assert found == {NEW[0]: 40, NEW[1]: 41, OTHER: None}


@pytest.mark.parametrize(
    ("is_stopping", "is_rebalancing", "looks"),
    [(True, False, 0), (False, True, 0), (False, False, 1)],
    ids=["stop", "rebalance", "neither"],
)
async def test_mark_is_not_looked_for_where_no_answer_may_come(
    is_stopping: bool, is_rebalancing: bool, looks: int
) -> None:
    """A stop waits for the last commit: in an outage that look would last as long."""
    consumer, seen = FakeConsumer(Group()), []
    consumer.app.rebalancing = is_rebalancing
    consumer.is_stopping = is_stopping

    async def look() -> None:
        seen.append(True)

    consumer._begun.renew = look  # type: ignore[method-assign]

    assert await consumer.commit()
    assert len(seen) == looks


async def test_nothing_is_read_from_an_end_that_was_not_committed() -> None:
    """Where the commit fails the assignment does."""
    consumer = FakeConsumer(Group(refuses=True))

    with pytest.raises(KafkaError, match="first offsets"):
        await consumer.seek_to_committed()
    assert consumer.sought == {}


async def _given(found: Any) -> Any:
    return found


async def _further_on(partitions: Collection[TP]) -> dict[TP, int]:
    return {tp: 90 + tp.partition for tp in partitions}
