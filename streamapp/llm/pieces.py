"""How the text of an answer travels while it is still being written."""

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


async def give_whole(pieces: Pieces, output: Any) -> None:
    """Give an answer that is there already as one piece; an object as its JSON."""
    await pieces.begin()
    text = output if isinstance(output, str) else orjson.dumps(output).decode()
    if text:
        await pieces.add(text)
