"""The tools of an app: typed coroutines and MCP servers, by the settings."""

import asyncio
from collections.abc import Callable, Sequence

from streamapp.llm.completion import Call
from streamapp.settings import Settings
from streamapp.settings.checks import listed
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.loop import ToolLoop
from streamapp.tools.mcp_server import McpServer, mcp_servers
from streamapp.tools.observer import ToolObserver


class Tools:
    """All tools that prompts may name, and what runs models with them.

    Args:
        settings: Name the modules and servers.
        observer: Hears of agents and tool calls.
        refuses: Whether a call would be refused now whatever it asks.
        servers: In place of those of the settings; for tests.

    Attributes:
        loop: Runs models with tools.

    Raises:
        ConfigurationError: A tool is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        observer: ToolObserver | None = None,
        *,
        refuses: Callable[[Call], bool] = lambda call: False,
        servers: Sequence[McpServer] | None = None,
    ) -> None:
        self._servers = mcp_servers(settings.mcp) if servers is None else servers
        catalogue = ToolCatalogue(load_tools(listed(settings.tools)), self._servers)
        self.loop = ToolLoop(catalogue, observer, refuses=refuses)

    async def connect(self) -> None:
        """Begin to connect the servers; nothing waits for them but records that need them."""
        for server in self._servers:
            server.start()

    def impaired(self) -> list[str]:
        """Return the servers that are away."""
        return [f"mcp.{server.name}" for server in self._servers if server.is_away]

    async def aclose(self) -> None:
        """Close the connections side by side: a program that does not end takes its time."""
        await asyncio.gather(*(server.aclose() for server in self._servers))
