"""Responses of ``chat`` records by OpenAI's shapes, whole and in chunks."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from streamapp.records import exact_json
from streamapp.records.response import Response, Usage
from streamapp.records.tools import EXTRA_CONTENT, FunctionCall


class PromptTokens(TypedDict):
    """Of the question's tokens."""

    cached_tokens: int


class ReasoningTokens(TypedDict):
    """Of the answer's tokens."""

    reasoning_tokens: int


class TokenCounts(TypedDict):
    """OpenAI's ``usage`` of a chat."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: ReasoningTokens


class WantedCall(TypedDict):
    """A tool that the model wants called."""

    id: str
    type: Literal["function"]
    function: FunctionCall
    extra_content: NotRequired[dict[str, Any]]


class AssistantMessage(TypedDict):
    """What the model said."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[WantedCall]]
    function_call: NotRequired[FunctionCall]


class Choice(TypedDict):
    """One answer."""

    index: int
    message: AssistantMessage
    logprobs: dict[str, Any] | None
    finish_reason: str


class ChatCompletion(TypedDict):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: TokenCounts


def chat_completion(
    responses: Sequence[Response], *, id: str, has_functions: bool = False
) -> ChatCompletion:
    """Return the whole answer.

    Args:
        responses: One for each sample, in order.
        id: Of the completion.
        has_functions: Whether calls are told by OpenAI's older shape.
    """
    first = responses[0]
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(first.created_at.timestamp()),
        "model": first.model,
        "choices": [
            {
                "index": index,
                "message": _message(response, has_functions),
                "logprobs": response.logprobs,
                "finish_reason": finish_reason(response, has_functions=has_functions),
            }
            for index, response in enumerate(responses)
        ],
        "usage": usage_of(responses),
    }


def text_of(output: Any) -> str:
    """Return an output as the text of a message."""
    return output if isinstance(output, str) else exact_json.dumps(output).decode()


def finish_reason(response: Response, *, has_functions: bool = False) -> str:
    """Return why the answer ended, by OpenAI's words."""
    reason = response.finish_reason or "stop"
    return "function_call" if has_functions and reason == "tool_calls" else reason


def usage_of(responses: Sequence[Response]) -> TokenCounts:
    """Return the tokens of the answers, also where others paid for them."""
    usage: Usage = reduce(add, (paid_usage(response) for response in responses))
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def paid_usage(response: Response) -> Usage:
    """Return the usage of the answer when it was paid for."""
    return response.original_usage or response.usage


def _message(response: Response, has_functions: bool) -> AssistantMessage:
    text, calls = text_of(response.output), response.tool_calls
    message: AssistantMessage = {
        "role": "assistant",
        "content": None if calls and not text else text,
        "refusal": None,
    }
    if calls and has_functions:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = [_wanted(call) for call in calls]
    return message


def _wanted(call: Mapping[str, Any]) -> WantedCall:
    wanted: WantedCall = {"id": call["id"], "type": "function", "function": call["function"]}
    if extra := call.get(EXTRA_CONTENT):
        wanted["extra_content"] = extra
    return wanted
