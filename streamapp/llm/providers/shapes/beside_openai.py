"""Fields beside OpenAI's of turns, parts and tools, left out for providers without them."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.records.tools import EXTRA_CONTENT

#: Providers that name one in ``pass_through`` get it.
OTHERS = frozenset({"cache_control", "reasoning_content", EXTRA_CONTENT})


def of_openai(body: dict[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    """Return a request without the fields of `OTHERS` that are ``dropped``."""
    if not dropped:
        return body
    messages = body["messages"]
    if any(_has(message, dropped) for message in messages):
        body = {**body, "messages": [_turn(message, dropped) for message in messages]}
    if any(dropped & tool.keys() for tool in body.get("tools") or ()):
        body = {**body, "tools": [_without(tool, dropped) for tool in body["tools"]]}
    return body


def _has(message: Mapping[str, Any], dropped: frozenset[str]) -> bool:
    if not dropped.isdisjoint(message):
        return True
    content = message.get("content")
    parts: Sequence[Any] = content if isinstance(content, list) else ()
    calls: Sequence[Any] = message.get("tool_calls") or ()
    inner = (*parts, *calls)
    return bool(inner) and not all(map(dropped.isdisjoint, inner))


def _turn(message: Mapping[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    turn = _without(message, dropped)
    if isinstance(turn.get("content"), list):
        turn["content"] = [_without(part, dropped) for part in turn["content"]]
    if turn.get("tool_calls"):
        turn["tool_calls"] = [_without(call, dropped) for call in turn["tool_calls"]]
    return turn


def _without(fields: Mapping[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in dropped}
