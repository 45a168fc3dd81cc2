"""One partition of the window: when it goes on after a hold, and what a hole means to it."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streamapp.streaming.window.finished_offsets import Metadata, decode
from streamapp.streaming.window.partition_state import PartitionState, Progress, SpanBounds

T0 = TP("llm.requests", 0)


@pytest.fixture
def partition() -> PartitionState:
    """Record 5 is unfinished, and the span may have eight offsets."""
    partition = PartitionState(T0, 5, bounds=SpanBounds(offsets=8))
    partition.append(record(5))
    return partition


def record(offset: int) -> Any:
    return SimpleNamespace(offset=offset, size=1, taken_at=0.0, is_done=False)


def test_held_partition_goes_on_once_its_first_dropped_record_has_room(
    partition: PartitionState,
) -> None:
    """Behind a hole the next record can be far away: it would be held again at once."""
    partition.hold(13)
    assert not partition.has_drained(now=0)

    partition.finish(partition._unfinished[0])

    assert partition.has_drained(now=0)


def test_records_dropped_later_hold_nothing_up(partition: PartitionState) -> None:
    """Only the first of them is the next one to be taken."""
    partition.hold(11)

    partition.hold(20)

    assert partition.has_drained(now=0)


def test_partition_without_its_ledger_takes_nothing() -> None:
    """What would be paid could not be noted; it goes on once it has one."""
    partition = PartitionState(T0, 5)
    partition.has_ledger = False
    assert not partition.has_room(5, now=0)
    partition.hold(5)
    assert not partition.has_drained(now=0)

    partition.has_ledger = True

    assert partition.has_drained(now=0)


def test_hole_is_committed_where_nothing_before_it_is_unfinished() -> None:
    """Else a group that never got past what retention deleted hears of the loss at each start."""
    partition = PartitionState(T0, 5)

    partition.pass_hole(9)

    assert partition.progress() == Progress(9, "")
    assert partition.expected == 9


def test_progress_names_the_topic_that_it_is_a_place_of() -> None:
    """With what is finished behind it, and of nothing as well."""
    topic_id = bytes(range(20))
    partition = PartitionState(T0, 5, Metadata(frozenset({7}), topic_id))

    partition.append(first := record(5))
    partition.finish(first)

    progress = partition.progress()
    assert progress is not None
    assert decode(progress.offset, progress.metadata) == (frozenset({7}), topic_id)


def test_hole_behind_an_unfinished_record_is_not_committed(partition: PartitionState) -> None:
    """The record would not come again after a crash."""
    partition.pass_hole(9)

    assert partition.progress() is None
