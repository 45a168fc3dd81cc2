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


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_a_program_that_ends_is_told_at_once_with_its_exit_code(options: list[str]) -> None:
    """One try, not 30 s of them; what else there is is listed all the same."""
    program = json.dumps([sys.executable, "-c", "raise SystemExit(3)"])
    Path("streamapp.toml").write_text(f"[mcp.orders]\ncommand = {program}\nallow = ['*']\n")

    result = CliRunner().invoke(main, ["tools", *options], env={"COLUMNS": "160"})

    assert result.exit_code == 1
    assert "shop.order" in result.stdout
    assert result.stderr.endswith(
        "the server 'orders' is away: its program ended with exit code 3: run its command to see"
        " why\n"
    )


def test_a_server_that_nobody_reaches_is_told_at_once() -> None:
    """By what went wrong in one word: a message could hold what a header held."""
    Path("streamapp.toml").write_text("[mcp.orders]\nurl = 'http://127.0.0.1:1/mcp'\n")

    result = CliRunner().invoke(main, ["tools"])

    assert result.exit_code == 1
    assert "the server 'orders' is away: it cannot be reached (" in result.stderr
