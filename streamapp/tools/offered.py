"""The interface of a tool as the loop sees it, and its shape for the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streamapp.llm.client import LLMClient

#: Longest name that OpenAI's API takes.
NAME_LIMIT = 64


class OfferedTool(Protocol):
    """A typed coroutine, or a tool of an MCP server."""

    @property
    def name(self) -> str:
        """The name by which prompts know it; one of an MCP server begins with the server's."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model; may be empty."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of its arguments, an object."""
        ...

    @property
    def timeout_s(self) -> float:
        """Longest time of one call, seconds."""
        ...

    async def call(self, arguments: Mapping[str, Any], llm: LLMClient) -> str:
        """Return the result as text for the model.

        Raises:
            ToolError: What the model is told in place of a result.
            Failure: Ends the record.
        """
        ...


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to.

    Attributes:
        text: For the model.
        outcome: ``ok``; else ``unknown``, ``invalid``, ``error``, ``timeout`` or ``too_large``.
    """

    text: str
    outcome: str = "ok"


def wire_name(name: str) -> str:
    """Return a tool's name as providers take it: letters, digits, ``_`` and ``-``."""
    return name.replace(".", "__")


def shape_of(tool: OfferedTool) -> dict[str, Any]:
    """Return a tool by OpenAI's shape."""
    function: dict[str, Any] = {"name": wire_name(tool.name), "parameters": tool.schema}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}
