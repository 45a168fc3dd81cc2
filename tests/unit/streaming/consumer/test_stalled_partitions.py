from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streamapp.streaming.consumer.stalled_partitions import (
    LONGEST_STALL_S,
    STALL_S,
    StalledPartitions,
)
from streamapp.streaming.window.partition_state import PartitionState
from tests.fakes import FakeClock

T0 = TP("llm.requests", 0)


class Fixture:
    """A partition that expects offset 5 and ends at 9."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.partition = PartitionState(T0, 5)
        self.end: int | None = 9
        self.stalled = StalledPartitions(self.clock)

    def due_after(self, seconds: float) -> list[tuple[TP, int]]:
        self.clock.advance(seconds)
        return self.stalled.due({T0: self.partition}, lambda tp: self.end)


@pytest.fixture
def fixture() -> Fixture:
    """Seen standing still for the first time just now."""
    fixture = Fixture()
    assert fixture.due_after(0) == []
    assert fixture.due_after(0) == []
    return fixture


def test_standing_still_long_enough_is_due(fixture: Fixture) -> None:
    """It is sought back to the offset it expects, after the wait and not before."""
    assert fixture.due_after(STALL_S - 0.1) == []

    assert fixture.due_after(0.2) == [(T0, 5)]


def test_one_whose_record_came_before_the_window_was_open_is_due_at_the_second_look() -> None:
    """That record was dropped, and nothing later shows it; a second time is like any other."""
    fixture = Fixture()
    fixture.stalled.clear([T0])
    fixture.end = None
    assert fixture.due_after(0.25) == []
    fixture.end = 9

    assert fixture.due_after(0.25) == []
    assert fixture.due_after(0.25) == [(T0, 5)]

    assert fixture.due_after(STALL_S - 0.1) == []
    assert fixture.due_after(0.2) == [(T0, 5)]


def test_one_that_was_at_its_end_meanwhile_is_like_any_other() -> None:
    """What came early was taken after all."""
    fixture = Fixture()
    fixture.stalled.clear([T0])
    fixture.end = 5
    assert fixture.due_after(0.25) == []
    fixture.end = 9

    assert fixture.due_after(0.25) == []
    assert fixture.due_after(0.25) == []


def test_each_vain_seek_doubles_the_wait_up_to_the_longest(fixture: Fixture) -> None:
    """What stands at the end and is no record is asked for ever more seldom, and never given up."""
    wait_s = STALL_S
    waits: list[float] = []

    while len(waits) < 10:
        assert fixture.due_after(wait_s - 0.1) == []
        assert fixture.due_after(0.2) == [(T0, 5)]
        waits.append(wait_s)
        wait_s = min(2 * wait_s, LONGEST_STALL_S)

    assert waits[-1] == LONGEST_STALL_S


def test_partition_that_moved_waits_anew(fixture: Fixture) -> None:
    """One record taken shows that the partition moves: the wait is the first one again."""
    fixture.due_after(STALL_S + 0.1)
    fixture.partition.expected = 6

    assert fixture.due_after(1) == []
    assert fixture.due_after(STALL_S - 0.1) == []
    assert fixture.due_after(0.2) == [(T0, 6)]


@pytest.mark.parametrize("end", [None, 0, 5], ids=["unknown", "nothing fetched", "reached"])
def test_partition_at_its_end_is_left_alone(fixture: Fixture, end: int | None) -> None:
    """Where nothing is known to be missing, nothing is sought; what was noted is forgotten."""
    fixture.end = end
    assert fixture.due_after(10 * STALL_S) == []

    fixture.end = 9
    assert fixture.due_after(1) == []


def test_unfinished_record_hides_no_skipped_one(fixture: Fixture) -> None:
    """What Faust skipped at the end is fetched again, also while a record before it is held."""
    record: Any = SimpleNamespace(offset=5, size=0, taken_at=0.0, is_done=False)
    fixture.partition.append(record)

    assert fixture.due_after(0) == []
    assert fixture.due_after(STALL_S + 0.1) == [(T0, 6)]


def test_partition_that_could_not_move_meanwhile_waits_anew(fixture: Fixture) -> None:
    """The window had no room for its input: nothing was skipped, and nothing is sought."""
    fixture.clock.advance(STALL_S + 1)
    assert fixture.stalled.due({}, lambda tp: 9) == []

    assert fixture.due_after(0) == []
    assert fixture.due_after(STALL_S + 1) == [(T0, 5)]
