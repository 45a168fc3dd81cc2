"""The list of an MCP server's tools, and what of it is offered."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import structlog

from streamapp.llm.client import LLMClient
from streamapp.tools.mcp_session import Session
from streamapp.tools.offered import NAME_LIMIT, wire_name

log = structlog.get_logger(__name__)

#: Most tools of a server, as of OpenAI's API, and most characters of what one says of itself.
MOST_TOOLS, SHAPE_CHARS = 128, 20_000
#: Pages of a listing that are read.
PAGES = 20


class CalledServer(Protocol):
    """The server as its tools see it."""

    name: str
    timeout_s: float

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return the result of a tool as text; raises `ToolError` where it has none."""
        ...


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server."""

    server: CalledServer
    own_name: str
    description: str
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The server's name, a point and its own."""
        return f"{self.server.name}.{self.own_name}"

    @property
    def timeout_s(self) -> float:
        """Longest time of one call, seconds."""
        return self.server.timeout_s

    async def call(self, arguments: Mapping[str, Any], llm: LLMClient) -> str:
        """Return the result as text; raises `ToolError` where the server has none."""
        return await self.server.call(self.own_name, arguments)


async def listed(session: Session, server: CalledServer, *, allow: Sequence[str]) -> list[McpTool]:
    """Return what is allowed of what a server offers, by name; the rest is logged.

    Args:
        session: A connection to it.
        server: Answers the calls of what is found.
        allow: Names, `get_*` for all that begin so.
    """
    found: dict[str, McpTool] = {}
    cursor = None
    for _ in range(PAGES):
        page = await session.list_tools(cursor=cursor)
        for tool in page.tools:
            if not any(fnmatchcase(tool.name, pattern) for pattern in allow):
                continue
            made = McpTool(server, tool.name, tool.description or "", tool.input_schema)
            if problem := _problem(made, found):
                log.warning("mcp.tool_left_out", server=server.name, reason=problem)
            else:
                found[wire_name(made.name)] = made
        cursor = page.next_cursor
        if cursor is None:
            break
    return [found[name] for name in sorted(found)]


def _problem(tool: McpTool, found: Mapping[str, McpTool]) -> str:
    """Return why a tool is not offered beside those found; a provider would refuse the call."""
    spelled = wire_name(tool.name)
    if len(spelled) > NAME_LIMIT or not spelled.replace("-", "_").isidentifier():
        return "its name"
    if spelled in found:
        return "two of one name"
    if len(tool.description) + len(json.dumps(tool.schema)) > SHAPE_CHARS:
        return f"more than {SHAPE_CHARS:,} characters"
    return f"more than {MOST_TOOLS} tools" if len(found) >= MOST_TOOLS else ""
