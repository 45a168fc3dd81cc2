"""Tools: typed coroutines and those of MCP servers, and the loop in which a model calls them."""

from streamapp.errors import ToolError
from streamapp.tools.tool import Tool, tool

__all__ = ["Tool", "ToolError", "tool"]
