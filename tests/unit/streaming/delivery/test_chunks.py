"""Chunks of a streamed answer as records."""

from collections.abc import Mapping

from streamapp.streaming.delivery.chunks import ChunkStream
from tests.fakes import FakeClock


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
