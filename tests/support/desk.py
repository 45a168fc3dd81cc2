"""Tools that leave a trace outside, for tests: two typed ones, and one of an MCP server.

As a program it is that server, over its standard streams. The record ``h4-…`` hangs in its step 4,
once.
"""

from mcp.server.mcpserver import MCPServer

from streamapp.llm.client import LLMClient
from streamapp.tools import tool
from tests.support.chain import note

#: The step of a record in which the model calls the tool of the server: that is told no number.
OF_SERVER = 5
server = MCPServer("orders")


async def trace(id: str, step: int) -> str:
    """Write down that a step ran to its end."""
    await note(f"{id}:{step}", hangs=id.startswith(f"h{step}-"))
    return f"noted by {step}"


@tool(timeout_s=600)
async def order_status(number: str, llm: LLMClient) -> str:
    """Look an order up by its number."""
    return await trace(number, _step_of(llm))


@tool(name="shop.opening_hours", timeout_s=600)
async def opening_hours(number: str, llm: LLMClient) -> str:
    """Tell when the shop is open."""
    return await trace(number, _step_of(llm))


@server.tool()
async def get_order(number: str) -> str:
    """Look an order up in the stock."""
    return await trace(number, OF_SERVER)


def _step_of(llm: LLMClient) -> int:
    return int(llm.calls.steps.scope.prefix.rstrip("."))


if __name__ == "__main__":
    server.run()
