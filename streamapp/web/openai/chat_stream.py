"""The chunks of a streamed chat completion, by OpenAI's shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.llm.chunks import CallDelta
from streamapp.records import exact_json
from streamapp.records.response import Response
from streamapp.records.tools import EXTRA_CONTENT
from streamapp.web.openai.chat_answer import TokenCounts, finish_reason, usage_of


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

    def begin(self, index: int) -> list[bytes]:
        """Return the role, which comes first."""
        return [self._delta({"role": "assistant", "content": ""}, index=index)]

    def text(self, text: str, index: int) -> list[bytes]:
        """Return a chunk of a choice's text."""
        return [self._delta({"content": text}, index=index)]

    def call(self, call: CallDelta, index: int) -> list[bytes]:
        """Return a delta of a call: what is called first, then the arguments.

        Args:
            call: The delta.
            index: Of the choice.
        """
        deltas: list[dict[str, Any]] = []
        extra = {EXTRA_CONTENT: call.extra} if call.extra and not self._has_functions else {}
        if call.name:
            function = {"name": call.name, "arguments": ""}
            head = {"index": call.index, "id": call.id, "type": "function", "function": function}
            head |= extra
            deltas.append({"function_call": function} if self._has_functions else head)
        if call.arguments:
            function = {"arguments": call.arguments}
            part = {"index": call.index, "function": function}
            part |= {} if call.name else extra
            deltas.append({"function_call": function} if self._has_functions else part)
        elif extra and not call.name:
            deltas.append({"index": call.index, **extra})
        if not self._has_functions:
            deltas = [{"tool_calls": [delta]} for delta in deltas]
        elif call.index:  # the older shape has one call alone
            return []
        return [self._delta(delta, index=index) for delta in deltas]

    def end(self, response: Response, index: int) -> bytes:
        """Return the end of the message."""
        reason = finish_reason(response, has_functions=self._has_functions)
        return self._delta({}, index=index, finish_reason=reason, logprobs=response.logprobs)

    def usage(self, responses: Sequence[Response]) -> list[bytes]:
        """Return the chunk with the usage, where it was asked for."""
        return [self._chunk([], usage=usage_of(responses))] if self._with_usage else []

    def _delta(
        self,
        delta: Mapping[str, Any],
        *,
        index: int,
        finish_reason: str | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self._chunk([choice], usage=None)

    def _chunk(self, choices: Sequence[Any], *, usage: TokenCounts | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        return exact_json.dumps({**chunk, "usage": usage} if self._with_usage else chunk)
