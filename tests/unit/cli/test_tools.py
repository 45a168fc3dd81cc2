"""`streamapp tools`: what models may call."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamapp.cli import main

MODULE = '''
from streamapp.tools import tool

@tool(name="shop.order")
async def order(number: str, speed: int = 1) -> str:
    """Look an order up."""
    return ""
'''


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of tools, named by the settings."""
    (tmp_path / "listed_tools.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("STREAMAPP_TOOLS", "listed_tools")
    monkeypatch.setitem(sys.modules, "listed_tools", None)
    sys.modules.pop("listed_tools")


def test_tools_are_listed_with_their_arguments() -> None:
    """Those that may be left out have a question mark."""
    result = CliRunner().invoke(main, ["tools"], env={"COLUMNS": "160"})

    assert result.exit_code == 0, result.output
    assert "shop.order" in result.stdout
    assert "number, speed?" in result.stdout
    assert "Look an order up." in result.stdout


def test_no_tools_are_told_with_where_they_come_from() -> None:
    """In place of a table without rows."""
    result = CliRunner().invoke(main, ["tools"], env={"STREAMAPP_TOOLS": ""})

    assert (result.exit_code, result.stdout) == (0, "")
    assert "STREAMAPP_TOOLS" in result.stderr


def test_json_has_the_schemas() -> None:
    """As the model gets them."""
    [found] = json.loads(CliRunner().invoke(main, ["tools", "--json"]).stdout)["tools"]

    assert found["parameters"]["required"] == ["number"]
    assert found["source"] == "listed_tools.order"
