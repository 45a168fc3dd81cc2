"""The checks of tools: what a model is not told of them, and what nothing uses."""

import shutil
from collections.abc import Mapping

from streamapp.cli.finding import Finding
from streamapp.cli.terminal import own_command
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.mcp import McpSettings
from streamapp.tools.catalogue import ToolCatalogue


def tool_findings(catalogue: ToolCatalogue, prompts: PromptRegistry | None) -> list[Finding]:
    """Return a finding for the tools, and one for each that has no docstring or no use.

    Args:
        catalogue: The typed tools.
        prompts: Those that may name them; None where they cannot be read.
    """
    if not catalogue.typed:
        return []
    wrong = [
        f"{tool.name}: it has no docstring, so that a model cannot know what it does"
        for tool in catalogue.typed
        if not tool.description
    ]
    notes = []
    if prompts is not None:
        versions = (prompts.resolve(name, sticky=b"") for name in prompts.names)
        used = catalogue.used(pattern for one in versions for pattern in one.agent.tools)
        notes = [tool.name for tool in catalogue.typed if tool.name not in used]
    unused = f"; no prompt names {', '.join(notes)}: only code can use it" if notes else ""
    names = ", ".join(tool.name for tool in catalogue.typed)
    return [
        Finding("tools", True, names + unused),
        *(Finding("tools", False, problem) for problem in wrong),
    ]


def mcp_findings(servers: Mapping[str, McpSettings]) -> list[Finding]:
    """Return a finding for the MCP servers, and one for each whose program is not there.

    None of them is asked: `streamapp tools` does that.
    """
    if not servers:
        return []
    wrong = [
        f"[mcp.{name}] command: there is no program {server.command[0]!r} on PATH"
        for name, server in servers.items()
        if server.command and shutil.which(server.command[0]) is None
    ]
    idle = [name for name, server in servers.items() if not server.allow]
    nothing = f"; {', '.join(idle)}: nothing is offered without allow" if idle else ""
    return [
        Finding(
            "mcp", True, f"{', '.join(servers)}: not asked, `{own_command()} tools` does{nothing}"
        ),
        *(Finding("mcp", False, problem) for problem in wrong),
    ]
