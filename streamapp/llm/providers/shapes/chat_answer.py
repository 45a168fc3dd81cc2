"""The answer of ``POST /chat/completions``, whole or put together from a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamapp.errors import ContentFiltered, ProviderUnavailable
from streamapp.llm.attempt import refused
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import decode_any, garbled
from streamapp.llm.providers.refusals.reading import error_within
from streamapp.llm.providers.shapes.content import Content, content_of
from streamapp.llm.providers.shapes.finish_reason import CONTENT_FILTER, FAILED, finish_reason_of
from streamapp.llm.providers.shapes.thoughts import without_thoughts
from streamapp.llm.providers.shapes.tool_calls import ToolCall, tool_calls_of
from streamapp.llm.providers.shapes.usage import usage_of


@dataclass(slots=True)
class ReadChoice:
    """One choice, read.

    Attributes:
        content: Of its message, with thoughts before the text stripped.
        thought_chars: Length of those, characters.
        finish_reason: By OpenAI's words.
        tool_calls: By OpenAI's shape.
        logprobs: As they came.
    """

    content: Content
    thought_chars: int
    finish_reason: str | None
    tool_calls: Sequence[ToolCall] = ()
    logprobs: Mapping[str, Any] | None = None


def chat_completion(body: bytes, call: Call, *, provider: str) -> Completion:
    """Read a whole answer.

    Raises:
        GarbledAnswer: The body is no completion.
        ContentFiltered: The provider withheld the answer, or the model refused to give one.
        ProviderError: It holds an error in place of an answer.
    """
    answer = decode_any(body, provider)
    if error := error_in(answer):
        refused()
        raise error_within(error, provider=provider)
    try:
        choice = first_choice(answer)
        message = choice.get("message") or choice.get("delta") or {"content": choice["text"]}
        content, thoughts = content_of(message), 0
        calls = tool_calls_of(message)
    except (LookupError, TypeError, AttributeError) as error:
        if _is_blocked(answer):
            raise withheld(provider) from error
        raise garbled("no choice with a message", provider) from error
    if failure := choice.get("error"):
        usage_of(answer)
        raise error_within(failure, provider=provider)
    reason = finish_reason_of(choice.get("finish_reason"))
    text, thoughts = without_thoughts(content.text)
    read = ReadChoice(
        Content(text, content.refusal, content.reasoning_chars, content.is_there or bool(calls)),
        thoughts,
        reason,
        calls,
        logprobs_of(choice),
    )
    return completion_of(read, answer, call, provider)


def completion_of(
    read: ReadChoice, answer: Mapping[str, Any], call: Call, provider: str
) -> Completion:
    """Return the completion of a read answer; raises as `chat_completion`."""
    content, reason = read.content, read.finish_reason
    reasoning = content.reasoning_chars + read.thought_chars
    written = len(content.text) + reasoning
    usage = usage_of(answer, reasoning_share=reasoning / written if written else 0.0)
    if reason == FAILED:
        raise ProviderUnavailable(f"{provider}: the generation failed", provider=provider)
    if reason == CONTENT_FILTER or (content.refusal and not content.text):
        raise withheld(provider)
    is_spent = reason == "length" or reasoning or usage.reasoning_tokens
    if not (content.is_there or is_spent):
        raise garbled("no text in the message", provider)
    model = answer.get("model")
    return Completion(
        output=content.text,
        tool_calls=read.tool_calls,
        logprobs=read.logprobs,
        model=model if isinstance(model, str) and model else call.model,
        provider=provider,
        usage=usage,
        finish_reason=reason,
    )


def first_choice(answer: Any) -> Mapping[str, Any]:
    """Return the choice of index 0, or the first one.

    Raises:
        LookupError, TypeError: There is none.
    """
    choices = answer["choices"]
    if not isinstance(choices, list):
        raise TypeError("no list of choices")
    choice = choices[0]
    if len(choices) > 1 or not isinstance(choice, dict):
        choice = next((one for one in choices if one.get("index") == 0), choice)
    if not isinstance(choice, dict):
        raise TypeError("no choice")
    return choice


def logprobs_of(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the log probabilities beside a message, or a part of it; None without any."""
    found = choice.get("logprobs")
    return dict(found) if isinstance(found, dict) else None


def error_in(answer: Any) -> Any:
    """Return the error that an answer, or an event of a stream, holds; None where it holds none."""
    if isinstance(answer, list):
        return answer if answer and isinstance(answer[0], dict) and answer[0].get("error") else None
    if not isinstance(answer, dict):
        return None
    if answer.get("error") or answer.get("object") in ("error", "Error"):
        return answer
    if isinstance(own := answer.get("base_resp"), dict) and own.get("status_code"):
        # MiniMax's word for it, also beside choices that are null.
        return {"message": own.get("status_msg"), "code": own["status_code"]}
    if any(map(answer.__contains__, ("choices", "data", "usage", "id"))):
        return None
    said = answer.get("message") or answer.get("msg") or answer.get("errors")
    is_failed = answer.get("code") or answer.get("success") is False
    return answer if answer.get("detail") or (said and is_failed) else None


def withheld(provider: str) -> ContentFiltered:
    """Return the error of an answer that the provider's policy keeps back."""
    return ContentFiltered(f"{provider}: the answer was withheld", provider=provider, status=200)


def _is_blocked(answer: Any) -> bool:
    """Whether Azure says, in place of choices, that the prompt was filtered."""
    results = answer.get("prompt_filter_results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        return False
    filters = (one.get("content_filter_results") or {} for one in results if isinstance(one, dict))
    return any(
        isinstance(verdict, dict) and verdict.get("filtered")
        for group in filters
        for verdict in group.values()
    )
