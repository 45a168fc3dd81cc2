"""Responses of ``chat`` records by the shape of OpenAI's responses."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from streamapp.records.response import Response
from streamapp.records.tools import EXTRA_CONTENT
from streamapp.web.openai.chat_answer import ReasoningTokens, paid_usage, text_of
from streamapp.web.openai.responses.request import ResponsesRequest

ItemStatus = Literal["in_progress", "completed", "incomplete"]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OutputTextPart(TypedDict):
    """The text of a message."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Any]


class MessageItem(TypedDict):
    """What the model said."""

    type: Literal["message"]
    id: str
    role: Literal["assistant"]
    status: ItemStatus
    content: list[OutputTextPart]


class CallItem(TypedDict):
    """A function that the model wants called."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    extra_content: NotRequired[dict[str, Any]]


class CachedTokens(TypedDict):
    """Of the question's tokens."""

    cached_tokens: int
    cache_write_tokens: int


class ResponseUsage(TypedDict):
    """Tokens of a response."""

    input_tokens: int
    input_tokens_details: CachedTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int


class IncompleteDetails(TypedDict):
    """Why an answer is not whole."""

    reason: str


class ResponseError(TypedDict):
    """Why there is no answer."""

    code: str
    message: str


class ResponseObject(TypedDict):
    """A response, with what was asked for."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: list[MessageItem | CallItem]
    parallel_tool_calls: bool
    previous_response_id: None
    prompt_cache_key: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    service_tier: str | None
    store: Literal[False]
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_logprobs: int | None
    top_p: float | None
    truncation: Literal["disabled"]
    usage: ResponseUsage | None
    user: str | None


def asked_object(body: ResponsesRequest, *, id: str, created: float) -> ResponseObject:
    """Return a response before there is an answer.

    Args:
        body: What was asked.
        id: Of the response.
        created: Seconds since the epoch.
    """
    reasoning, text = body.reasoning, body.text
    wanted: Any = text.format if text else None
    return {
        "id": id,
        "object": "response",
        "created_at": int(created),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {"effort": reasoning.effort if reasoning else None, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": body.service_tier,
        "store": False,
        "temperature": body.temperature,
        "text": {
            "format": wanted or {"type": "text"},
            **({"verbosity": text.verbosity} if text and text.verbosity else {}),
        },
        "tool_choice": body.tool_choice or "auto",
        "tools": [{"strict": None, "parameters": None, **tool} for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs,
        "top_p": body.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": body.user,
    }


def answered_object(
    asked: ResponseObject, response: Response, output: Sequence[MessageItem | CallItem]
) -> ResponseObject:
    """Return a response with its answer.

    Args:
        asked: As of `asked_object`.
        response: The record's.
        output: The items, whole.
    """
    reason = _INCOMPLETE.get(response.finish_reason or "")
    usage = paid_usage(response)
    return {
        **asked,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "model": response.model,
        "output": list(output),
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_input_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


def output_of(response: Response, *, id: str) -> list[MessageItem | CallItem]:
    """Return the items of an answer: its text, and what the model wants called.

    Args:
        response: The record's.
        id: Of the response, from which the items have theirs.
    """
    text, calls = text_of(response.output), response.tool_calls or ()
    items: list[MessageItem | CallItem] = []
    if text or not calls:
        logprobs = logprobs_of(response.logprobs)
        items.append(message_item(item_id("msg", id, 0), text, status(response), logprobs))
    for call in calls:
        own = item_id("fc", id, len(items))
        extra = call.get(EXTRA_CONTENT)
        items.append(
            call_item(own, call["id"], **call["function"], status="completed", extra=extra)
        )
    return items


def item_id(kind: str, response_id: str, place: int) -> str:
    """Return the id of the item at a place of a response."""
    return f"{kind}_{response_id.partition('_')[2]}_{place}"


def status(response: Response) -> ItemStatus:
    """Return whether the text of an answer is whole."""
    return "incomplete" if response.finish_reason in _INCOMPLETE else "completed"


def message_item(
    id: str, text: str | None, status: ItemStatus, logprobs: Sequence[Any] = ()
) -> MessageItem:
    """Return a message; with None as its text, one that has no part yet."""
    content = [] if text is None else [text_part(text, logprobs)]
    return {
        "type": "message",
        "id": id,
        "role": "assistant",
        "status": status,
        "content": content,
    }


def text_part(text: str, logprobs: Sequence[Any] = ()) -> OutputTextPart:
    """Return a part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def call_item(
    id: str,
    call_id: str,
    name: str,
    arguments: str,
    status: ItemStatus,
    *,
    extra: Mapping[str, Any] | None = None,
) -> CallItem:
    """Return a call; ``extra`` is what its vendor wants back with it."""
    item: CallItem = {
        "type": "function_call",
        "id": id,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }
    if extra:
        item["extra_content"] = dict(extra)
    return item


def logprobs_of(logprobs: Mapping[str, Any] | None) -> list[Any]:
    """Return the log probabilities of a chat's tokens as those of a text part."""
    return [
        {
            "token": token["token"],
            "logprob": token["logprob"],
            "bytes": token.get("bytes") or [],
            "top_logprobs": token.get("top_logprobs") or [],
        }
        for token in (logprobs or {}).get("content") or ()
    ]
