"""Turns, tools, calls and their results as Anthropic writes them, to and from OpenAI's shape."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from streamapp.errors import InvalidRecord
from streamapp.llm.providers.shapes.tool_calls import ToolCall

#: Where Anthropic's own cache of a question may end.
CACHE_MARK = "cache_control"

_CHOICES = {"none": "none", "auto": "auto", "required": "any"}


def tools_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``tools`` and ``tool_choice`` of a request; nothing where no tool is offered."""
    tools = parameters.get("tools")
    if not tools:
        return {}
    found: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    choice = _choice(parameters.get("tool_choice"))
    if parameters.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {**found, "tool_choice": choice} if choice else found


def turns_of(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the user's and the assistant's turns; results of tools are the user's.

    Raises:
        InvalidRecord: The arguments of a call are no JSON object.
    """
    turns: list[dict[str, Any]] = []
    results: list[dict[str, Any]] | None = None
    for message in messages:
        role = message.get("role")
        if role == "tool":
            if results is None:  # those of one turn stand together
                results = []
                turns.append({"role": "user", "content": results})
            results.append(_marked([_result(message)], message)[0])
        elif role in ("user", "assistant"):
            results = None
            content = content_of(message.get("content"))
            if calls := message.get("tool_calls"):
                content = [*_blocks(content), *map(_use, calls)]
            if message.get(CACHE_MARK):
                content = _marked(_blocks(content), message)
            turns.append({"role": role, "content": content})
    return turns


def system_of(messages: Iterable[Mapping[str, Any]], *, more: str = "") -> Any:
    """Return what the system says: one text, or blocks where a cache of it is asked for.

    Args:
        messages: All turns.
        more: What is said behind them.
    """
    turns = [turn for turn in messages if turn.get("role") in ("system", "developer")]
    texts = [*(text_of(turn.get("content")) for turn in turns), *([more] if more else ())]
    blocks = [
        {"type": "text", **{name: part[name] for name in ("text", CACHE_MARK) if part.get(name)}}
        for turn in turns
        for part in _marked(_blocks(turn.get("content")), turn)
        if part.get("text")  # Anthropic refuses an empty one
    ]
    if not any(CACHE_MARK in block for block in blocks):
        return "\n\n".join(texts)
    return [*blocks, *([{"type": "text", "text": more}] if more else ())]


def text_of(content: Any) -> str:
    """Return the text of a message's content."""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


def content_of(content: Any) -> Any:
    """Return a message's content with images and files as Anthropic writes them."""
    if not isinstance(content, list):
        return content
    return [_part(part) for part in content]


def call_of(block: Mapping[str, Any], arguments: str | None = None) -> ToolCall:
    """Return a ``tool_use`` block as a call.

    Args:
        block: With id, name and, where it is whole, input.
        arguments: Of a streamed one, as they came.

    Raises:
        LookupError, TypeError: It is none.
    """
    text = arguments if arguments else orjson.dumps(block.get("input") or {}).decode()
    name, id = "" + block["name"], "" + block["id"]
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    kept = {"name": function["name"], "input_schema": schema}
    for name, value in (
        ("description", function.get("description")),
        ("strict", function.get("strict")),
        ("cache_control", tool.get("cache_control")),
    ):
        if value is not None:
            kept[name] = value
    return kept


def _choice(choice: Any) -> dict[str, Any] | None:
    if isinstance(choice, str):
        return {"type": _CHOICES[choice]}
    return {"type": "tool", "name": choice["function"]["name"]} if choice else None


def _result(message: Mapping[str, Any]) -> dict[str, Any]:
    content = content_of(message.get("content")) or ""
    return {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": content}


def _use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = orjson.loads(function["arguments"] or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidRecord("the arguments of a call in 'tool_calls' are no JSON object")
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}


def _marked(blocks: list[Any], turn: Mapping[str, Any]) -> list[Any]:
    """Return the blocks of a turn; the mark of the turn is that of its last block."""
    mark = turn.get(CACHE_MARK)
    if not mark or not blocks or CACHE_MARK in blocks[-1]:
        return blocks
    return [*blocks[:-1], {**blocks[-1], CACHE_MARK: mark}]


def _blocks(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    if "image_url" in part:
        return {"type": "image", "source": _source(part["image_url"]["url"]), **kept}
    if "file" in part:
        file = part["file"]
        if id := file.get("file_id"):
            source: dict[str, Any] = {"type": "file", "file_id": id}
        else:
            source = _source(file.get("file_data") or "")
        title = {"title": file["filename"]} if file.get("filename") else {}
        return {"type": "document", "source": source, **title, **kept}
    return part


def _source(url: str) -> dict[str, Any]:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": media_type, "data": data}
