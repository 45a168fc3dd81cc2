"""The findings of `streamapp check` about tools."""

from pathlib import Path

import pytest

from streamapp.cli.terminal import own_command
from streamapp.cli.tool_findings import mcp_findings, tool_findings
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.mcp import McpSettings
from streamapp.tools import tool
from streamapp.tools.catalogue import ToolCatalogue


@tool(name="shop.order")
async def order(number: str) -> str:
    """Look an order up."""
    return number


@tool
async def bare(number: str) -> str:
    return number


@pytest.fixture
def prompts(tmp_path: Path) -> PromptRegistry:
    """Prompts of which one names the tools of the shop."""
    (tmp_path / "desk.md").write_text("---\ntools: [shop.*]\n---\nHello\n")
    return PromptRegistry.load(tmp_path)


def test_without_tools_there_is_nothing_to_say(prompts: PromptRegistry) -> None:
    """A worker without tools has no line about them."""
    assert tool_findings(ToolCatalogue(), prompts) == []


def test_a_tool_without_a_docstring_is_wrong(prompts: PromptRegistry) -> None:
    """It is named, and the check fails; what no prompt names is a note alone."""
    found = tool_findings(ToolCatalogue([order, bare]), prompts)

    assert [(one.ok, one.detail) for one in found] == [
        (True, "bare, shop.order; no prompt names bare: only code can use it"),
        (False, "bare: it has no docstring, so that a model cannot know what it does"),
    ]


def test_use_is_not_judged_without_prompts() -> None:
    """Where the prompts cannot be read, nothing is said of what they name."""
    [found] = tool_findings(ToolCatalogue([order]), None)

    assert (found.ok, found.detail) == (True, "shop.order")


def test_program_of_an_mcp_server_that_is_not_there_is_wrong() -> None:
    """It is named with its place; a server that offers nothing by its settings is a note."""
    servers = {
        "files": McpSettings(command=["no-such-program", "--read-only"], allow=["read"]),
        "shell": McpSettings(command=["sh"], allow=["*"]),
        "orders": McpSettings(url="https://orders.example/mcp"),
    }

    found = mcp_findings(servers)

    assert [(one.ok, one.detail) for one in found] == [
        (
            True,
            f"files, shell, orders: not asked, `{own_command()} tools` does;"
            " orders: nothing is offered without allow",
        ),
        (False, "[mcp.files] command: there is no program 'no-such-program' on PATH"),
    ]
    assert mcp_findings({}) == []
