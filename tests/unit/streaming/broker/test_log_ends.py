"""Logs read to their ends: what becomes of a reading whose topic is deleted meanwhile."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streamapp.streaming.broker.log_ends import STALL_S, records_to_end
from tests.support.virtual_time import run_virtually, virtual_clock

PLACE = TopicPartition("llm.spend", 0)


class FakeLog:
    """A consumer of a log of ten records, of which the first ``there`` are handed out.

    Args:
        pause_s: How long each record takes.
    """

    _isolation_level = "read_uncommitted"

    def __init__(self, there: int, *, pause_s: float = 0.0) -> None:
        self._there = there
        self._pause_s = pause_s
        self._position = 0

    async def end_offsets(self, places: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 10)

    def highwater(self, place: TopicPartition) -> int:
        return 10

    async def position(self, place: TopicPartition) -> int:
        return self._position

    async def getmany(self, place: TopicPartition, *, timeout_ms: int) -> dict[Any, list[Any]]:
        if self._position == self._there:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        await asyncio.sleep(self._pause_s)
        self._position += 1
        return {place: [SimpleNamespace(offset=self._position - 1)]}


async def offsets(log: FakeLog, seen: list[int]) -> None:
    async for record in records_to_end(cast(Any, log), PLACE):
        seen.append(record.offset)


def test_log_that_hands_out_nothing_more_is_given_up() -> None:
    """Its topic was deleted: the client would ask for it for good, and tell nobody."""
    seen: list[int] = []

    async def scene() -> float:
        with pytest.raises(KafkaTimeoutError):
            await offsets(FakeLog(there=3), seen)
        return virtual_clock()

    assert STALL_S <= run_virtually(scene()) <= STALL_S + 5
    assert seen == [0, 1, 2]


def test_slow_log_is_read_to_its_end() -> None:
    """However long all of it takes."""
    seen: list[int] = []

    run_virtually(offsets(FakeLog(there=10, pause_s=STALL_S - 1), seen))

    assert seen == list(range(10))
