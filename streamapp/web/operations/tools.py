"""The operation on tools: the list of what models may call."""

from typing_extensions import TypedDict

from streamapp.tools.listing import ListedServer, ListedTool
from streamapp.web.operations.operation import GROUP, Operation


class ToolsBody(TypedDict):
    """What models may call here, by name, and the MCP servers that some of it comes from."""

    tools: list[ListedTool]
    servers: list[ListedServer]


OPERATIONS = (
    Operation(
        "GET",
        "/v1/tools",
        "List the tools that models may call, and the state of MCP servers",
        ToolsBody,
        access=GROUP,
    ),
)
