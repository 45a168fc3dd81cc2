"""Responses of ``chat`` records as OpenAI's chunks, while they are written."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from streamapp.llm.chunks import CallDelta, ChunkSink
from streamapp.records.response import Response
from streamapp.web.events import ChunksSent, EventStream
from streamapp.web.openai.answers import Answers, hit_header
from streamapp.web.openai.calls_sent import CallsSent
from streamapp.web.openai.chat_answer import TokenCounts, finish_reason, text_of, usage_of

DONE = b"[DONE]"


class CompletionChunks:
    """The chunks of one streamed answer, each as one JSON line.

    Args:
        created: Seconds since the epoch, the same in all chunks.
        with_usage: Whether the last chunk tells the usage and the others that it is to come.
        has_functions: As of ``chat_completion``.
    """

    def __init__(
        self, *, id: str, model: str, created: float, with_usage: bool, has_functions: bool = False
    ) -> None:
        self._with_usage = with_usage
        self._has_functions = has_functions
        self._head = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": int(created),
            "model": model,
        }

    def delta(
        self,
        delta: Mapping[str, Any],
        *,
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return a chunk of the message, or its end."""
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self._chunk([choice], usage=None)

    def call(self, call: CallDelta, *, index: int = 0) -> list[bytes]:
        """Return a piece of a call: what is called first, then the arguments.

        Args:
            call: The piece.
            index: Of the choice.
        """
        deltas: list[dict[str, Any]] = []
        if call.name:
            function = {"name": call.name, "arguments": ""}
            head = {"index": call.index, "id": call.id, "type": "function", "function": function}
            deltas.append({"function_call": function} if self._has_functions else head)
        if call.arguments:
            function = {"arguments": call.arguments}
            part = {"index": call.index, "function": function}
            deltas.append({"function_call": function} if self._has_functions else part)
        if not self._has_functions:
            deltas = [{"tool_calls": [delta]} for delta in deltas]
        elif call.index:  # the older shape has one call alone
            return []
        return [self.delta(delta, index=index) for delta in deltas]

    def end(self, response: Response, *, index: int = 0) -> bytes:
        """Return the end of the message."""
        reason = finish_reason(response, has_functions=self._has_functions)
        return self.delta({}, index=index, finish_reason=reason, logprobs=response.logprobs)

    def usage(self, responses: Sequence[Response]) -> list[bytes]:
        """Return the chunk with the usage, where it was asked for."""
        return [self._chunk([], usage=usage_of(responses))] if self._with_usage else []

    def _chunk(self, choices: Sequence[Any], *, usage: TokenCounts | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        return orjson.dumps({**chunk, "usage": usage} if self._with_usage else chunk)


async def send_chunks(
    answers: Answers, stream: EventStream, chunks: CompletionChunks, records: Any, *, id: str
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
    """One choice of a stream: its role first, then its text and calls."""

    def __init__(
        self, stream: EventStream, chunks: CompletionChunks, index: int, on_hit: Any
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
        await self._stream.send(self._chunks.end(response, index=self._index))

    async def _send(self, text: str) -> None:
        await self._begin()
        if text:
            await self._add({"content": text})

    async def _send_call(self, delta: CallDelta) -> None:
        await self._begin()
        self._calls.note(delta)
        for chunk in self._chunks.call(delta, index=self._index):
            await self._stream.send(chunk)

    async def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._add({"role": "assistant", "content": ""})

    async def _add(self, delta: Mapping[str, str]) -> None:
        await self._stream.send(self._chunks.delta(delta, index=self._index))
