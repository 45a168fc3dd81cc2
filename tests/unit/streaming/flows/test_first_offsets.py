from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from faust.types import TP

from streamapp.streaming.flows.first_offsets import FirstOffsets

NEW, READ, EMPTY, OTHER = TP("new", 0), TP("new", 1), TP("new", 2), TP("other", 0)


class FakeThread:
    def __init__(self, committed: Mapping[TP, int | None], *, refuses: bool) -> None:
        self.found = dict(committed)
        self.refuses = refuses
        self.written: dict[TP, int] = {}

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        return self.found

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.written.update({} if self.refuses else offsets)
        return not self.refuses


class FakeConsumer(FirstOffsets):
    """Faust's consumer without a client: what is committed and sought is kept."""

    def __init__(self, committed: Mapping[TP, int | None], *, refuses: bool = False) -> None:
        self._thread: Any = FakeThread(committed, refuses=refuses)
        self.app: Any = SimpleNamespace(from_latest={"new"})
        self.written: dict[TP, int] = self._thread.written
        self.sought: dict[TP, int] = {}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        ends = {NEW: 40, READ: 50, EMPTY: 0, OTHER: 60}
        return {tp: ends[tp] for tp in partitions}

    async def seek(self, partition: TP, offset: int) -> None:
        assert partition in self.written, "sought before it was committed"
        self.sought[partition] = offset


async def test_only_what_was_never_read_begins_at_its_end() -> None:
    """Partitions with a committed offset, also 0, and topics of other flows stay where they are."""
    consumer = FakeConsumer({NEW: None, READ: 7, EMPTY: 0, OTHER: None})

    found = await consumer.seek_to_committed()

    assert found == {NEW: 40, READ: 7, EMPTY: 0, OTHER: None}
    assert consumer.written == consumer.sought == {NEW: 40}


async def test_an_empty_partition_is_noted_as_well() -> None:
    """The end of an empty one is 0, and committed: what comes next is not passed over."""
    consumer = FakeConsumer({EMPTY: None})

    await consumer.seek_to_committed()

    assert consumer.written == {EMPTY: 0}


async def test_nothing_is_read_from_an_end_that_was_not_committed() -> None:
    """Where the commit fails the assignment fails, and is made again."""
    consumer = FakeConsumer({NEW: None}, refuses=True)

    with pytest.raises(KafkaError, match="first offsets"):
        await consumer.seek_to_committed()
    assert consumer.sought == {}
