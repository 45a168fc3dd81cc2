"""The choices of a streamed answer, each sent while its record is answered."""

from collections.abc import Callable, Sequence
from typing import Protocol

from streamapp.llm.chunks import CallDelta, ChunkSink
from streamapp.processors.chat import Chat
from streamapp.records.response import Response
from streamapp.web.events import ChunksSent, EventStream
from streamapp.web.openai.answers import Answers, hit_header
from streamapp.web.openai.calls_sent import CallsSent
from streamapp.web.openai.chat_answer import text_of

DONE = b"[DONE]"


class ChoiceChunks(Protocol):
    """How chunks are written, each as one JSON line; ``index`` is that of the choice."""

    def begin(self, index: int) -> list[bytes]:
        """Return what comes before the text."""
        ...

    def text(self, text: str, index: int) -> list[bytes]:
        """Return a chunk of the text."""
        ...

    def call(self, call: CallDelta, index: int) -> list[bytes]:
        """Return a delta of a tool call."""
        ...

    def end(self, response: Response, index: int) -> bytes:
        """Return the end of the choice."""
        ...

    def usage(self, responses: Sequence[Response]) -> list[bytes]:
        """Return the usage, where it was asked for."""
        ...


async def send_choices(
    answers: Answers,
    stream: EventStream,
    chunks: ChoiceChunks,
    records: Sequence[Chat],
    *,
    id: str,
) -> None:
    """Send the answers to ``records`` as they are written, each as the choice of its place."""
    on_hit = hit_header(stream, records)
    choices = [_Choice(stream, chunks, place, on_hit) for place in range(len(records))]

    def sink(place: int) -> ChunkSink:
        return choices[place].sent

    responses = await answers.of(records, id=id, chunks=sink)
    for choice, response in zip(choices, responses, strict=True):
        await choice.end(response)
    for chunk in chunks.usage(responses):
        await stream.send(chunk)
    await stream.send(DONE)


class _Choice:
    """One choice of a stream: its beginning first, then its text and calls."""

    def __init__(
        self,
        stream: EventStream,
        chunks: ChoiceChunks,
        index: int,
        on_hit: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._chunks = chunks
        self._index = index
        self._has_begun = False
        self._calls = CallsSent()
        self.sent = ChunksSent(self._send, send_call=self._send_call, on_hit=on_hit)

    async def end(self, response: Response) -> None:
        """Send what was not sent while it was written, and the end."""
        if not self.sent.any:
            await self._send(text_of(response.output))
        for delta in self._calls.rest(response.tool_calls or ()):
            await self._send_call(delta)
        await self._stream.send(self._chunks.end(response, self._index))

    async def _send(self, text: str) -> None:
        await self._begin()
        if text:
            await self._add(self._chunks.text(text, self._index))

    async def _send_call(self, delta: CallDelta) -> None:
        await self._begin()
        self._calls.note(delta)
        await self._add(self._chunks.call(delta, self._index))

    async def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._add(self._chunks.begin(self._index))

    async def _add(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            await self._stream.send(chunk)
