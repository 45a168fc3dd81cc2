"""Chunks of a streamed answer, and the interface of their sinks."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streamapp.llm.attempt import heard
from streamapp.records import exact_json


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A delta of a tool call: what a stream adds to it.

    Attributes:
        index: The call's place among those of the answer, from 0.
        id: Of the call, in its first delta alone; else empty.
        name: Of the function that is called, likewise.
        arguments: What is added to its arguments, JSON as the model writes it; may be empty.
        extra: What the vendor wants back with the call, told once: Gemini's signature of a thought.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Instead:
    """The beginning of the answer, where what came before it turns out to be thoughts.

    Attributes:
        text: May be empty.
    """

    text: str


class ChunkSink(Protocol):
    """Takes a streamed answer.

    An attempt that fails half way is followed by another one, which starts at the beginning:
    a model does not write the same text twice, so nothing can be spliced. `begin` says so. A
    taker that is not open any more gets no other text, and the call ends with the attempt.
    """

    @property
    def is_open(self) -> bool:
        """Whether another text may begin: nothing was passed on for good."""
        ...

    async def begin(self, *, is_cached: bool = False) -> None:
        """Begin the text of an attempt; what came before it, if anything, is void.

        A taker that cannot take its chunks back raises a `Failure` that is not retryable.

        Args:
            is_cached: Whether another call paid for what follows.
        """
        ...

    async def add(self, text: str) -> None:
        """Take the next chunk, never empty."""
        ...

    async def retract(self) -> None:
        """Take back all texts of this attempt; one that has passed them on for good keeps them."""
        ...

    async def add_call(self, delta: CallDelta) -> None:
        """Take the next delta of a tool call; one that takes text alone passes it over.

        The calls of an answer that is there already come with its completion alone.
        """
        ...


async def give(chunks: ChunkSink, parts: AsyncIterator[str | CallDelta | Instead]) -> None:
    """Give the texts and calls of one attempt as they come; empty texts are none."""
    is_begun = False
    async for part in parts:
        if isinstance(part, Instead):
            if is_begun:
                await chunks.retract()
            part = part.text
        heard(part if isinstance(part, str) else part.arguments)
        if part and not is_begun:
            is_begun = True
            await chunks.begin()
        if isinstance(part, CallDelta):
            await chunks.add_call(part)
        elif part:
            await chunks.add(part)


async def give_whole(chunks: ChunkSink, output: Any, *, is_cached: bool = False) -> None:
    """Give an answer that is there already as one chunk; an object as its JSON."""
    await chunks.begin(is_cached=is_cached)
    text = output if isinstance(output, str) else exact_json.dumps(output).decode()
    if text:
        await chunks.add(text)
