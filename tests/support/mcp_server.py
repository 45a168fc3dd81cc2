"""A real MCP server of the official SDK: ``python -m tests.support.mcp_server [PORT]``.

Over its standard streams without a port, else over streamable HTTP.
"""

import os
import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("orders")


@server.tool()
def get_order(number: str) -> str:
    """Look an order up by its number."""
    if number == "gone":
        raise ToolError("there is no such order")
    return f"order {number} of {os.environ.get('ORDERS_SHOP', 'no shop')}"


@server.tool()
def get_pid() -> int:
    """Tell which process this is."""
    return os.getpid()


@server.tool()
async def get_more(ctx: Context[Any, Any], quietly: bool = False) -> str:
    """Offer one tool more, and tell so."""

    def get_late() -> str:
        """Be late."""
        return "late"

    server.add_tool(get_late)
    if quietly:
        return "offered"
    await ctx.notify_tools_changed()  # to those that asked for it, since 2026-07-28
    await ctx.session.send_tool_list_changed()  # to all, before
    return "offered"


@server.tool()
def drop_orders() -> str:
    """Delete all orders."""
    return "dropped"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run()
