"""Chunks of a streamed answer, and the interface of whoever takes them."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from streamapp.llm.attempt import heard
from streamapp.records import exact_json


class ChunkSink(Protocol):
    """Takes a streamed answer.

    An attempt that fails half way is followed by another one, which starts at the beginning:
    a model does not write the same text twice, so nothing can be spliced. `begin` says so.
    """

    async def begin(self) -> None:
        """Begin the text of an attempt; what came before it, if anything, is void.

        A taker that cannot take its chunks back raises a `Failure` that is not retryable.
        """
        ...

    async def add(self, text: str) -> None:
        """Take the next chunk, never empty."""
        ...


async def give(chunks: ChunkSink, texts: AsyncIterator[str]) -> None:
    """Give the texts of one attempt as they come; empty ones are none."""
    is_begun = False
    async for text in texts:
        heard(text)
        if text and not is_begun:
            is_begun = True
            await chunks.begin()
        if text:
            await chunks.add(text)


async def give_whole(chunks: ChunkSink, output: Any) -> None:
    """Give an answer that is there already as one chunk; an object as its JSON."""
    await chunks.begin()
    text = output if isinstance(output, str) else exact_json.dumps(output).decode()
    if text:
        await chunks.add(text)
