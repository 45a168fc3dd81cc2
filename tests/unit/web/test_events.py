"""Chunks of a streamed answer as server-sent events."""

from streamapp.web.events import ChunksSent


async def test_sent_chunks_are_kept_when_they_turn_out_to_be_thoughts() -> None:
    """What a client has cannot be taken back; the answer goes on, for it is paid for."""
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    chunks = ChunksSent(send)
    await chunks.begin()
    await chunks.add("let me see</think>")
    await chunks.retract()
    await chunks.add("hello")

    assert sent == ["let me see</think>", "hello"]
