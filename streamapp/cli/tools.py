"""`streamapp tools`: what models may call, with the schemas of the arguments."""

import asyncio
import json
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamapp.cli.kafka import client_settings
from streamapp.cli.terminal import printable
from streamapp.settings.checks import listed
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.listing import ListedTool, arguments_of, listed_tools
from streamapp.tools.mcp_server import McpServer, mcp_servers


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the tools as JSON, schemas included.")
def tools(as_json: bool) -> None:
    """List the tools that models may call; call none.

    Those in Python (STREAMAPP_TOOLS), and those that the MCP servers of the file ([mcp.NAME])
    offer, which are asked for them.
    """
    settings = client_settings(may_lack_secrets=False)
    servers = mcp_servers(settings.mcp)
    catalogue = ToolCatalogue(load_tools(listed(settings.tools)), servers)
    found, away = asyncio.run(_listed(catalogue, servers))
    if as_json:
        click.echo(json.dumps({"tools": found, "away": away}))
        return
    if not found and not away:
        hint = "no tools: name modules with @tool coroutines in STREAMAPP_TOOLS, or an [mcp.NAME]"
        click.echo(hint, err=True)
        return
    table = Table("tool", "from", "arguments", "does")
    for one in found:
        described = one["description"].partition("\n")[0] or "(no docstring)"
        arguments = ", ".join(arguments_of(one["parameters"]))
        cells = (one["name"], one["source"], arguments, described)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console().print(table)
    for name in away:
        click.echo(f"the server '{name}' is away: what it offers is not known", err=True)


async def _listed(
    catalogue: ToolCatalogue, servers: Sequence[McpServer]
) -> tuple[list[ListedTool], list[str]]:
    """Return all tools by name, and the servers that could not be reached."""
    try:
        await asyncio.gather(*(server.tools() for server in servers))
        return listed_tools(catalogue), [server.name for server in servers if server.is_away]
    finally:
        for server in servers:
            await server.aclose()
