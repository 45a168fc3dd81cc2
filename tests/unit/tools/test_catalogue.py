"""The catalogue of tools: names, patterns and modules."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.tools import tool
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.offered import OfferedTool
from tests.unit.tools.agents import AwayServer


@tool(name="shop.order")
async def order() -> str:
    """Look an order up."""
    return ""


@tool(name="shop.stock")
async def stock() -> str:
    """Count what is left."""
    return ""


@tool
async def weather() -> str:
    """Look out of the window."""
    return ""


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["shop.*"], ["shop.order", "shop.stock"]),
        (["weather", "shop.order"], ["shop.order", "weather"]),
        (["*"], ["shop.order", "shop.stock", "weather"]),
        ([weather, "weather"], ["weather"]),
        ([], []),
    ],
    ids=["prefix", "names", "all", "twice", "none"],
)
def test_names_and_patterns_choose(wanted: list[str], found: list[str]) -> None:
    """In one order for all, so that a redelivered record asks the same."""
    catalogue = ToolCatalogue([weather, stock, order])

    assert [one.name for one in catalogue.chosen(wanted)] == found


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        (["files.read", "weather"], ["files.read"]),
        (["files.*", "shop.*"], ["files.*"]),
        (["shop.order", "shop.refund"], ["shop.refund"]),
        (["*"], ["files.*"]),
        (["weather", order], []),
    ],
    ids=["name", "prefix", "renamed", "all", "none"],
)
def test_what_no_server_has_is_missing(wanted: list[str | OfferedTool], missing: list[str]) -> None:
    """Never reached, or reached and without a tool of that name; what it had once is there."""
    catalogue = ToolCatalogue([weather], [AwayServer("files"), AwayServer("shop", order)])

    assert catalogue.missing(wanted, catalogue.chosen(wanted)) == missing


def test_a_name_belongs_to_one_tool() -> None:
    """Also as providers spell it: they know no dots."""

    @tool(name="shop__order")
    async def other() -> str:
        """Look another order up."""
        return ""

    with pytest.raises(ConfigurationError, match=r"two tools are named 'shop.order'"):
        ToolCatalogue([order, other])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("desk_"):
            del sys.modules[name]


def test_modules_give_their_tools(folder: Path) -> None:
    """Each once, also where one module imports another's."""
    (folder / "desk_a.py").write_text(
        "from streamapp.tools import tool\n@tool\nasync def one() -> str:\n    '''One.'''\n"
    )
    (folder / "desk_b.py").write_text("from desk_a import one\n")

    assert [one.name for one in load_tools(["desk_a", "desk_b"])] == ["one"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No module named 'desk_c'"),
        ("1/0", "desk_c.py:1: ZeroDivisionError: division by zero$"),
        ("raise SystemExit", "SystemExit"),
        ("x = 1", "module 'desk_c' has no @tool"),
    ],
    ids=["missing", "broken", "script", "empty"],
)
def test_a_module_without_tools_is_named(text: str | None, problem: str, folder: Path) -> None:
    """Before anything starts, with the setting that names it."""
    if text is not None:
        (folder / "desk_c.py").write_text(text)

    with pytest.raises(ConfigurationError, match=f"STREAMAPP_TOOLS: .*{problem}"):
        load_tools(["desk_c"])
