"""Notes on what a version of a prompt names and the settings here do not have."""

from collections.abc import Iterator

from streamapp.errors import ConfigurationError, PromptError
from streamapp.prompts.prompt import Version
from streamapp.records.problems import near
from streamapp.settings import Settings
from streamapp.settings.checks import listed
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.mcp_server import mcp_servers


def not_here(settings: Settings, version: Version) -> Iterator[str]:
    """Yield a line for the route and for the tools that are not there; a worker may have them."""
    model, tools = version.settings.model, version.settings.tools
    before = f"note: version {version.version}, by the settings here"
    if model is not None and model not in settings.models:
        known = ", ".join(sorted(settings.models))
        guess = near(model, settings.models)
        yield f"{before}: model: there is no route '{model}'{guess}; there are: {known}"
    if tools:
        try:
            servers = mcp_servers(settings.mcp)
            ToolCatalogue(load_tools(listed(settings.tools)), servers).chosen(tools)
        except (ConfigurationError, PromptError) as error:
            yield f"{before}: tools: {error}"
