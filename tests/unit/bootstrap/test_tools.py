"""The tools of an app, by its settings."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp.bootstrap.tools import Tools
from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings
from streamapp.settings.mcp import McpSettings
from streamapp.tools.mcp_server import McpServer

pytestmark = pytest.mark.filterwarnings("default")

MODULE = """
from streamapp.tools import tool

@tool(name="shop.order")
async def order(number: str) -> str:
    \"\"\"Look an order up.\"\"\"
    return number
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of tools, on the path."""
    (tmp_path / "own_tools.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_tools"
    sys.modules.pop("own_tools", None)


async def test_tools_are_those_of_the_settings(module: str) -> None:
    """Typed ones by their module, and the servers of the file by their names."""
    settings = load_settings(tools=module, mcp={"files": {"command": ["none"], "allow": ["*"]}})

    catalogue = Tools(settings).loop.catalogue

    assert [one.name for one in catalogue.typed] == ["shop.order"]
    assert [one.name for one in catalogue.sources] == ["files"]


async def test_a_server_that_is_away_is_degraded_and_can_be_closed() -> None:
    """The worker starts without it, says so, and leaves no task behind."""
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    tools = Tools(load_settings(mcp={"files": {"command": command, "allow": ["*"]}}))

    await tools.connect()
    impaired = tools.impaired()
    await tools.aclose()

    assert impaired == ["mcp.files"]


def test_a_tool_with_the_name_of_a_server_ends_the_start(module: str) -> None:
    """Nobody could tell whose `shop.order` is called."""
    settings = load_settings(tools=module, mcp={"shop": {"command": ["none"], "allow": ["*"]}})

    with pytest.raises(ConfigurationError, match="shop"):
        Tools(settings)


class EndsWithTheOthers(McpServer):
    """A server whose program ends when all are told to."""

    def __init__(self, all: asyncio.Barrier) -> None:
        super().__init__("files", McpSettings(command=["none"]))
        self._all = all

    async def aclose(self) -> None:
        await self._all.wait()


async def test_servers_are_closed_side_by_side() -> None:
    """A stop waits for the slowest program, not for the sum of all."""
    all = asyncio.Barrier(3)
    tools = Tools(load_settings(), servers=[EndsWithTheOthers(all) for _ in range(3)])

    async with asyncio.timeout(5):
        await tools.aclose()
