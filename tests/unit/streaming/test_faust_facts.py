"""Facts about the installed Faust that the window leans on; an upgrade that changes one fails."""

import inspect
from collections import defaultdict
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from intervaltree import IntervalTree

from streamapp.streaming.window.partition_state import PartitionState

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


async def test_gap_that_faust_noted_is_committed_before_it_is_acked() -> None:
    """The reason of our own commits: two acks in what Faust skipped commit all of it."""
    faust = Offsets(committed=5)
    await faust._add_gap(T0, 6, 50)  # type: ignore[misc]

    for offset in (5, 6, 7):
        faust.ack(offset)
        while new_offset := faust.new_offset():
            faust._committed_offset[T0] = new_offset

    assert faust._committed_offset[T0] == 51


def test_partitions_of_faust_and_aiokafka_are_equal() -> None:
    """The window's keys match whichever named tuple Faust hands out."""
    partitions: dict[Any, PartitionState] = {T0: PartitionState(T0, 0)}

    assert TopicPartition("llm.requests", 0) in partitions


def test_faust_takes_what_was_fetched_by_one_method() -> None:
    """Our own reader stands in the place of the client's, which ends the worker on errors."""
    source = inspect.getsource(AIOKafkaConsumerThread.getmany)

    assert "self._fetch_records" in source
    assert list(inspect.signature(AIOKafkaConsumerThread._fetch_records).parameters) == [
        "self",
        "consumer",
        "active_partitions",
        "timeout",
        "max_records",
    ]


def test_the_client_takes_its_isolation_level_when_it_starts() -> None:
    """Faust has no setting for it: it is set on the client between its making and its start."""
    assert "isolation_level=self._isolation_level" in inspect.getsource(AIOKafkaConsumer.start)
    assert 'isolation_level: str = "read_uncommitted"' in inspect.getsource(
        AIOKafkaConsumerThread._create_worker_consumer
    )


def test_an_error_in_a_batch_loses_what_other_partitions_handed_out() -> None:
    """The reason of the reader: aiokafka's raises in the middle of what it has drained."""
    source = inspect.getsource(Fetcher.fetched_records)

    assert "res_or_error.check_raise()" in source
    assert "records = res_or_error.getall(max_records)" in source


def test_what_lies_among_the_fetched_is_not_fetched() -> None:
    """A held partition is one of which something lies there that is never handed out."""
    source = inspect.getsource(Fetcher._get_actions_per_node)

    assert "if tp in self._records:" in source
    assert "backoff = record.calculate_backoff()" in source


def test_the_client_knows_the_next_offset_of_what_it_hands_out() -> None:
    """By that holes are known: transaction markers, aborted records, what compaction left out."""
    source = inspect.getsource(PartitionRecords._unpack_records)

    assert source.count("self.next_fetch_offset = next_batch.next_offset") == 3
    assert "self.next_fetch_offset = record.offset + 1" in source


def test_a_client_without_a_reset_policy_tells_a_position_out_of_range() -> None:
    """With Faust's policy it goes on at the log's start, and nobody learns of it."""
    source = inspect.getsource(Fetcher._proc_fetch_request)

    assert "tp_state.await_reset(self._default_reset_strategy)" in source
    assert "Errors.OffsetOutOfRangeError({tp: fetch_offset})" in source
    assert "auto_offset_reset=self._auto_offset_reset" in inspect.getsource(AIOKafkaConsumer.start)
