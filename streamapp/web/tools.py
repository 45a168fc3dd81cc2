"""`/v1/tools`: what models may call here, and the MCP servers that it comes from."""

from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.listing import listed_servers, listed_tools
from streamapp.web.responses import json_response


def tools(catalogue: ToolCatalogue) -> Blueprint:
    """Return the view; ``catalogue`` is that of the worker's agents."""
    blueprint = Blueprint("tools")

    @blueprint.route("/v1/tools", name="tools")
    class Tools(View):
        """List the tools; no server is asked for it."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return json_response(
                {"tools": listed_tools(catalogue), "servers": listed_servers(catalogue)}
            )

    return blueprint
