"""Chunks of a streamed answer as records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from faust.types import TP

from streamapp.llm.attempt import heard
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.llm.timeout import TimeLimited, TimeLimits
from streamapp.streaming.delivery.chunks import PAUSE_S, SEND_S, ChunkStream, ChunkStreams
from streamapp.streaming.window.lease import Lease
from tests.fakes import FakeClock, FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat
from tests.unit.streaming.fake_broker import FakeMessage


async def test_texts_that_are_taken_back_begin_again_at_0() -> None:
    """Who reads the chunks from 0 on has the answer, without what was thought before it."""
    sent: list[tuple[str, bytes]] = []

    async def send(text: str, headers: Mapping[str, bytes]) -> None:
        sent.append((text, headers["stream-index"]))

    clock = FakeClock()
    stream = ChunkStream(send, clock=clock)
    await stream.begin()
    for text in ("let me", " see"):
        await stream.add(text)
        clock.advance(1)
    await stream.retract()
    await stream.add("hello")
    await stream.end("hello")

    assert sent == [("let me", b"0"), (" see", b"1"), ("hello", b"0"), ("", b"1")]


def test_wait_for_a_chunks_place_is_no_time_of_its_record() -> None:
    """Nor of the attempt that writes the text, which may be at its last moment."""

    class Writing(FakeProvider):
        async def complete(self, call: Call) -> Completion:
            for _ in range(9):
                await asyncio.sleep(PAUSE_S)
                heard("word ")
                assert call.chunks
                await call.chunks.add("word ")
            return Completion(output="", model="m", provider="mine")

    async def scene() -> None:
        async def send(*record: Any) -> Any:
            await asyncio.sleep(4)

        streams = ChunkStreams(send, topic="llm.chunks", clock=virtual_clock)
        deadline = Deadline(9 * PAUSE_S + SEND_S / 2, virtual_clock)
        deadline.start()
        DEADLINE.set(deadline)
        stream = streams.open(FakeMessage(TP("llm.requests", 0), 0, b"k", 1), "id", Lease(1))
        await TimeLimited(Writing(), name="mine", limits=TimeLimits()).complete(
            chat(deadline=deadline, chunks=stream)
        )
        await stream.end("")
        assert deadline.spent_s() == 9 * PAUSE_S
        assert virtual_clock() > 9 * PAUSE_S

    run_virtually(scene())


async def _refuse() -> None:
    raise UnknownTopicOrPartitionError


@pytest.mark.parametrize(
    ("fails", "longest_s"),
    [(lambda: asyncio.sleep(4), SEND_S), (_refuse, 0.0)],
    ids=["waits", "refuses"],
)
def test_topic_that_takes_no_chunk_does_not_hold_the_answer(
    fails: Callable[[], Awaitable[None]], longest_s: float
) -> None:
    """One chunk waits for a moment, those behind it are left out for a while; then it is tried."""
    tried: list[float] = []

    async def send(*record: Any) -> Any:
        tried.append(virtual_clock())
        await fails()

    async def scene() -> None:
        streams = ChunkStreams(send, topic="llm.chunks", clock=virtual_clock)
        stream = streams.open(FakeMessage(TP("llm.requests", 0), 0, b"k", 1), "id", Lease(1))
        await stream.begin()
        for _ in range(40):
            before = virtual_clock()
            await stream.add("word ")
            assert virtual_clock() - before <= longest_s + 0.001
            await asyncio.sleep(PAUSE_S / 20)
        assert len(tried) == 2

    run_virtually(scene())
