"""`streamapp tools`: what models may call, with the schemas of the arguments."""

import asyncio
import json
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamapp.cli.group import EXIT_FAILED, Ended
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
    offer, which are asked for them. Exit code 1 where one of them is away.
    """
    settings = client_settings(may_lack_secrets=False)
    servers = mcp_servers(settings.mcp)
    catalogue = ToolCatalogue(load_tools(listed(settings.tools)), servers)
    found, away = asyncio.run(_listed(catalogue, servers))
    if as_json:
        click.echo(json.dumps({"tools": found, "away": list(away)}))
    else:
        _show(found, is_all=not away)
    if away:
        lines = (f"the server '{name}' is away: {problem}" for name, problem in away.items())
        raise Ended("\n".join(lines), EXIT_FAILED)


def _show(found: Sequence[ListedTool], *, is_all: bool) -> None:
    if not found:
        if is_all:
            hint = "name modules with @tool coroutines in STREAMAPP_TOOLS, or an [mcp.NAME]"
            click.echo(f"no tools: {hint}", err=True)
        return
    table = Table("tool", "from", "arguments", "does")
    for one in found:
        described = one["description"].partition("\n")[0] or "(no docstring)"
        arguments = ", ".join(arguments_of(one["parameters"]))
        cells = (one["name"], one["source"], arguments, described)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console().print(table)


async def _listed(
    catalogue: ToolCatalogue, servers: Sequence[McpServer]
) -> tuple[list[ListedTool], dict[str, str]]:
    """Return all tools by name, and why servers could not be reached, each tried once."""
    try:
        problems = await asyncio.gather(*(server.first_try() for server in servers))
        told = zip(servers, problems, strict=True)
        return listed_tools(catalogue), {one.name: problem for one, problem in told if problem}
    finally:
        for server in servers:
            await server.aclose()
