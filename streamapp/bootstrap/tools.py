"""The tools of an app: typed coroutines and MCP servers, by the settings."""

from streamapp.settings import Settings
from streamapp.settings.checks import listed
from streamapp.tools.catalogue import ToolCatalogue, load_tools


def tool_catalogue(settings: Settings) -> ToolCatalogue:
    """Return all tools that prompts may name; raises ``ConfigurationError`` where one is wrong."""
    return ToolCatalogue(load_tools(listed(settings.tools)))
