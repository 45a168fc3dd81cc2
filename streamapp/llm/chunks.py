"""How the text of an answer travels while it is still being written."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import orjson


class Pieces(Protocol):
    """Takes a streamed answer.

    An attempt that fails half way is followed by another one, which starts at the beginning:
    a model does not write the same text twice, so nothing can be spliced. `begin` says so.
    """

    async def begin(self) -> None:
        """Begin the text of an attempt; what came before it, if anything, is void.

        A taker that cannot take its pieces back raises a `Failure` that is not retryable.
        """
        ...

    async def add(self, text: str) -> None:
        """Take the next piece, never empty."""
        ...


async def give(pieces: Pieces, texts: AsyncIterator[str]) -> None:
    """Give the texts of one attempt as they come; empty ones are none."""
    is_begun = False
    async for text in texts:
        if text and not is_begun:
            is_begun = True
            await pieces.begin()
        if text:
            await pieces.add(text)


async def give_whole(pieces: Pieces, output: Any) -> None:
    """Give an answer that is there already as one piece; an object as its JSON."""
    await pieces.begin()
    text = output if isinstance(output, str) else orjson.dumps(output).decode()
    if text:
        await pieces.add(text)
