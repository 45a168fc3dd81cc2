"""The list of tools for people: what models may call, its source, and the state of servers."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.offered import OfferedTool


class ListedTool(TypedDict):
    """A tool; ``source`` is its coroutine's module and name, or ``mcp.NAME``.

    ``parameters`` is the JSON Schema of its arguments, ``timeout_s`` the longest time of a call.
    """

    name: str
    source: str
    description: str
    parameters: dict[str, Any]
    timeout_s: float


class ListedServer(TypedDict):
    """An MCP server, and how many tools it offered last."""

    name: str
    state: Literal["connected", "away"]
    tools: int


def listed_tools(catalogue: ToolCatalogue) -> list[ListedTool]:
    """Return all tools by name; those of servers as they were told last, and nobody is asked."""
    found = [_listed(tool, getattr(tool, "origin", "")) for tool in catalogue.typed]
    for source in catalogue.sources:
        found += [_listed(tool, f"mcp.{source.name}") for tool in source.known]
    return sorted(found, key=lambda tool: tool["name"])


def listed_servers(catalogue: ToolCatalogue) -> list[ListedServer]:
    """Return the servers, in the order of the file."""
    return [
        {
            "name": source.name,
            "state": "away" if source.is_away else "connected",
            "tools": len(source.known),
        }
        for source in catalogue.sources
    ]


def arguments_of(parameters: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of a tool's arguments; ``?`` marks those that may be left out."""
    names, required = parameters.get("properties"), parameters.get("required")
    if not isinstance(names, Mapping):
        return []
    wanted = required if isinstance(required, list) else []
    return [name if name in wanted else f"{name}?" for name in names]


def _listed(tool: OfferedTool, source: str) -> ListedTool:
    return {
        "name": tool.name,
        "source": source,
        "description": tool.description,
        "parameters": dict(tool.schema),
        "timeout_s": tool.timeout_s,
    }
