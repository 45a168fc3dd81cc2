"""Responses of ``chat`` records by OpenAI's older shape of completions, whole and in chunks."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
from typing_extensions import TypedDict

from streamapp.llm.chunks import CallDelta
from streamapp.records.response import Response
from streamapp.web.openai.chat_answer import TokenCounts, finish_reason, text_of, usage_of


class TextLogprobs(TypedDict):
    """Log probabilities of a text's tokens, in four lists of one length."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(TypedDict):
    """One text."""

    text: str
    index: int
    logprobs: TextLogprobs | None
    finish_reason: str | None


class TextCompletion(TypedDict):
    """Whole answers to one or several prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: TokenCounts


def text_completion(
    responses: Sequence[Response], *, id: str, echoed: Sequence[str]
) -> TextCompletion:
    """Return the whole answer.

    Args:
        responses: One for each choice, in order.
        id: Of the completion.
        echoed: What stands before the text of each choice.
    """
    return {
        "id": id,
        "object": "text_completion",
        "created": int(responses[0].created_at.timestamp()),
        "model": responses[0].model,
        "choices": [
            {
                "text": before + text_of(response.output),
                "index": index,
                "logprobs": _logprobs(response.logprobs, offset=len(before)),
                "finish_reason": finish_reason(response),
            }
            for index, (response, before) in enumerate(zip(responses, echoed, strict=True))
        ],
        "usage": usage_of(responses),
    }


class TextChunks:
    """The chunks of one streamed answer, each as one JSON line.

    Args:
        created: Seconds since the epoch, the same in all chunks.
        with_usage: Whether the last chunk tells the usage and the others that it is to come.
        echoed: As of `text_completion`.
    """

    def __init__(
        self, *, id: str, model: str, created: float, with_usage: bool, echoed: Sequence[str]
    ) -> None:
        self._with_usage = with_usage
        self._echoed = echoed
        self._head = {
            "id": id,
            "object": "text_completion",
            "created": int(created),
            "model": model,
        }

    def begin(self, index: int) -> list[bytes]:
        """Return what stands before the text of a choice."""
        return self.text(self._echoed[index], index) if self._echoed[index] else []

    def text(self, text: str, index: int) -> list[bytes]:
        """Return a chunk of a choice's text."""
        return [self._choice(text, index)]

    def call(self, call: CallDelta, index: int) -> list[bytes]:
        """Return nothing: no tools are offered."""
        return []

    def end(self, response: Response, index: int) -> bytes:
        """Return the end of a choice."""
        offset = len(self._echoed[index])
        return self._choice(
            "",
            index,
            logprobs=_logprobs(response.logprobs, offset=offset),
            finish_reason=finish_reason(response),
        )

    def usage(self, responses: Sequence[Response]) -> list[bytes]:
        """Return the chunk with the usage, where it was asked for."""
        return [self._chunk([], usage=usage_of(responses))] if self._with_usage else []

    def _choice(
        self,
        text: str,
        index: int,
        *,
        logprobs: TextLogprobs | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        choice: TextChoice = {
            "text": text,
            "index": index,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self._chunk([choice], usage=None)

    def _chunk(self, choices: Sequence[TextChoice], *, usage: TokenCounts | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        return orjson.dumps({**chunk, "usage": usage} if self._with_usage else chunk)


def _logprobs(logprobs: Mapping[str, Any] | None, *, offset: int) -> TextLogprobs | None:
    """Return a chat's log probabilities by the older shape.

    Args:
        logprobs: OpenAI's, of a chat.
        offset: Characters before the answer's text.
    """
    if not logprobs:
        return None
    found: TextLogprobs = {
        "tokens": [],
        "token_logprobs": [],
        "top_logprobs": [],
        "text_offset": [],
    }
    for token in logprobs.get("content") or ():
        found["tokens"].append(token["token"])
        found["token_logprobs"].append(token["logprob"])
        top = token.get("top_logprobs") or ()
        found["top_logprobs"].append({one["token"]: one["logprob"] for one in top})
        found["text_offset"].append(offset)
        offset += len(token["token"])
    return found
