"""The tool calls that a fake provider makes."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from streamapp.llm.schemas.instance import instance_of

#: Characters of arguments in one piece of a stream.
PIECE = 5


class Scripted(Protocol):
    """What an `Outcome` says of tools."""

    @property
    def calls(self) -> int: ...
    @property
    def arguments(self) -> Mapping[str, Any] | None: ...
    @property
    def for_ever(self) -> bool: ...


def calls_for(body: Mapping[str, Any], scripted: Scripted) -> list[dict[str, Any]]:
    """Return calls of the offered tools in turn.

    Once a result was sent back there are none, unless it is to go on for ever.
    """
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    if not tools or not scripted.calls or choice == "none":
        return []
    if body["messages"][-1]["role"] == "tool" and not scripted.for_ever:
        return []
    if isinstance(choice, dict):
        tools = [t for t in tools if t["function"]["name"] == choice["function"]["name"]]
    calls = []
    for place in range(scripted.calls):
        function = tools[place % len(tools)]["function"]
        value = scripted.arguments
        if value is None:
            value = instance_of(function.get("parameters") or {"type": "object"})
        arguments = orjson.dumps(value).decode()
        call = {"name": function["name"], "arguments": arguments}
        calls.append({"id": f"call_fake_{place}", "type": "function", "function": call})
    return calls


def call_parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pieces in which the calls of a message are streamed."""
    parts = []
    for index, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        head = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
        parts.append({"index": index, **head})
        parts += [
            {"index": index, "function": {"arguments": arguments[at : at + PIECE]}}
            for at in range(0, len(arguments), PIECE)
        ]
    return parts
