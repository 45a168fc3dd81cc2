"""The list of tools over HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from streamapp.settings.mcp import McpSettings
from streamapp.tools import tool
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.mcp_listing import McpTool
from streamapp.tools.mcp_server import McpServer
from streamapp.tools.offered import OfferedTool
from streamapp.web.operations.tools import ToolsBody

from .conftest import Serve

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


@tool(name="shop.order", timeout_s=5)
async def order(number: str, speed: int = 1) -> str:
    """Look an order up."""
    return number + str(speed)


@dataclass
class FakeServer:
    """An MCP server that may be away; it must not be asked."""

    name: str
    is_away: bool
    known: Sequence[OfferedTool] = field(default_factory=list)
    is_awaited: bool = True

    async def tools(self) -> Sequence[OfferedTool]:
        raise AssertionError("the list is made without asking anybody")


async def test_tools_are_listed_with_source_and_schema(serve: Serve) -> None:
    """Typed tools and those of servers by name, and how each server is."""
    files = McpServer("files", McpSettings(command=["none"], timeout_s=7))
    read = McpTool(files, "read", "Read a file.", SCHEMA)
    catalogue = ToolCatalogue(
        [order], [FakeServer("files", False, [read]), FakeServer("mail", True)]
    )
    site = await serve(tools=catalogue)

    status, body, _ = await site("GET", "/v1/tools")

    assert status == 200
    TypeAdapter(ToolsBody).validate_python(body, strict=True)
    assert body["servers"] == [
        {"name": "files", "state": "connected", "tools": 1},
        {"name": "mail", "state": "away", "tools": 0},
    ]
    found, typed = body["tools"]
    assert found == {
        "name": "files.read",
        "source": "mcp.files",
        "description": "Read a file.",
        "parameters": SCHEMA,
        "timeout_s": 7.0,
    }
    assert (typed["name"], typed["source"]) == ("shop.order", f"{__name__}.order")
    assert typed["parameters"]["required"] == ["number"]
    assert list(typed["parameters"]["properties"]) == ["number", "speed"]


async def test_number_of_many_digits_in_a_schema_is_listed(serve: Serve) -> None:
    """A server may bound an argument by more than 64 bits."""
    schema = {"type": "object", "properties": {"size": {"type": "integer", "maximum": 2**64}}}
    files = McpServer("files", McpSettings(command=["none"]))
    known = [McpTool(files, "cut", "Cut a file.", schema)]
    site = await serve(tools=ToolCatalogue([], [FakeServer("files", False, known)]))

    status, body, _ = await site("GET", "/v1/tools")

    assert status == 200
    assert body["tools"][0]["parameters"] == schema


async def test_worker_without_tools_lists_none(serve: Serve) -> None:
    """An empty list, not an error."""
    site = await serve()

    status, body, _ = await site("GET", "/v1/tools")

    assert (status, body) == (200, {"tools": [], "servers": []})
