"""Facts about the installed Faust that the window leans on; an upgrade that changes one fails."""

from collections import defaultdict
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Consumer
from faust.types import TP
from intervaltree import IntervalTree

from streamapp.streaming.lane import Lane

T0 = TP("llm.requests", 0)


class Offsets:
    """Just the part of Faust's consumer that turns acks into an offset to commit."""

    _new_offset = Consumer._new_offset
    _add_gap = Consumer._add_gap

    def __init__(self, committed: int | None) -> None:
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._acked_index: dict[TP, set[int]] = defaultdict(set)
        self._gap: dict[TP, IntervalTree] = defaultdict(IntervalTree)
        self._committed_offset: dict[TP, int | None] = {T0: committed}

    def ack(self, offset: int) -> None:
        self._acked[T0].append(offset)
        self._acked_index[T0].add(offset)

    def new_offset(self) -> int | None:
        return self._new_offset(T0)  # type: ignore[misc]


def test_acks_out_of_order_step_over_unfinished_records() -> None:
    """The reason of the window: Faust commits past record 0 when only later ones are acked."""
    faust = Offsets(committed=None)

    for offset in (1, 2, 3):
        faust.ack(offset)

    assert faust.new_offset() == 4


@pytest.mark.parametrize("committed", [None, 5], ids=["nothing committed", "5 committed"])
def test_acks_in_order_commit_the_finished_prefix(committed: int | None) -> None:
    """With acks in delivery order the committed offset is the one after the last ack."""
    faust = Offsets(committed)
    start = committed or 0

    for offset in range(start, start + 3):
        faust.ack(offset)

    assert faust.new_offset() == start + 3


async def test_commit_passes_a_hole_after_it_was_sought() -> None:
    """A hole that the window passed does not stop the commits after it."""
    faust = Offsets(committed=5)
    # Faust's drain loop notes the gap when the record after the hole follows the seek.
    await faust._add_gap(T0, 6, 9)  # type: ignore[misc]

    faust.ack(9)

    assert faust.new_offset() == 10


async def test_recorded_gap_does_not_commit_what_was_skipped() -> None:
    """A gap that Faust noted by its own mistake is not committed before we ack beyond it."""
    faust = Offsets(committed=5)
    await faust._add_gap(T0, 6, 8)  # type: ignore[misc]

    faust.ack(5)

    assert faust.new_offset() == 6


def test_partitions_of_faust_and_aiokafka_are_equal() -> None:
    """The window's keys match whichever named tuple Faust hands out."""
    lanes: dict[Any, Lane] = {T0: Lane(T0, 0)}

    assert TopicPartition("llm.requests", 0) in lanes
