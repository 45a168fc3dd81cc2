"""`streamapp tools`: what models may call, with the schemas of the arguments."""

import asyncio
import json
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamapp.cli.kafka import client_settings
from streamapp.cli.terminal import printable
from streamapp.settings import Settings
from streamapp.settings.checks import listed
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.mcp_server import McpServer, mcp_servers
from streamapp.tools.offered import OfferedTool


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the tools as JSON, schemas included.")
def tools(as_json: bool) -> None:
    """List typed tools and those of MCP servers; calls none of them."""
    settings = client_settings(may_lack_secrets=False)
    servers = mcp_servers(settings.mcp)
    catalogue = ToolCatalogue(load_tools(listed(settings.tools)), servers)
    found, away = asyncio.run(_listed(catalogue, servers))
    if as_json:
        rows = [
            {
                "name": one.name,
                "source": _source(one, settings),
                "description": one.description,
                "parameters": one.schema,
                "timeout_s": one.timeout_s,
            }
            for one in found
        ]
        click.echo(json.dumps({"tools": rows, "away": away}))
        return
    if not found and not away:
        hint = "no tools: name modules with @tool coroutines in STREAMAPP_TOOLS, or an [mcp.NAME]"
        click.echo(hint, err=True)
        return
    table = Table("tool", "from", "arguments", "does")
    for one in found:
        described = one.description.partition("\n")[0] or "(no docstring)"
        cells = (one.name, _source(one, settings), _arguments(one.schema), described)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console().print(table)
    for name in away:
        click.echo(f"the server '{name}' is away: what it offers is not known", err=True)


async def _listed(
    catalogue: ToolCatalogue, servers: Sequence[McpServer]
) -> tuple[list[OfferedTool], list[str]]:
    """Return all tools by name, and the servers that could not be reached."""
    try:
        offered = await asyncio.gather(*(server.tools() for server in servers))
        away = [server.name for server in servers if server.is_away]
    finally:
        for server in servers:
            await server.aclose()
    found = [*catalogue.typed, *(one for some in offered for one in some)]
    return sorted(found, key=lambda one: one.name), away


def _source(tool: OfferedTool, settings: Settings) -> str:
    server = tool.name.partition(".")[0]
    return f"mcp.{server}" if server in settings.mcp else getattr(tool, "origin", "")


def _arguments(schema: Mapping[str, object]) -> str:
    """Return the names of the arguments; ``?`` marks those that may be left out."""
    names, required = schema.get("properties"), schema.get("required")
    if not isinstance(names, Mapping):
        return ""
    wanted = required if isinstance(required, list) else []
    return ", ".join(name if name in wanted else f"{name}?" for name in names)
