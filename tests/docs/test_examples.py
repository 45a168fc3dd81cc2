"""What pages show can be typed: every block is read as what it says it is."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from reference.metrics import metrics_page
from streamapp.cli import main
from streamapp.llm.costs.prices import load_prices
from streamapp.processors.registry import Registry
from streamapp.settings import PREFIX, Settings
from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks

SHELL = ("sh", "bash", "text", "")
#: Of the page that adds it.
OTHER_KINDS, OTHER_TYPES = {"house"}, {"sentiment"}
#: Begin like a metric and are none.
OTHER_NAMES = {"faust_app"}


def place_of(block: Block) -> str:
    return block.place


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, *languages)]


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each simple command of ours, without what is set before it."""
    for line in block.text.splitlines():
        for part in re.split(r"\||;|&&?", line.partition(" #")[0]):
            try:
                words = shlex.split(part)
            except ValueError:  # a part of a quoted text
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield [words[0].rpartition("/")[2], *words[1:]]


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([.\w]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def metrics() -> set[str]:
    """Return the names of all series: a histogram has three."""
    names = set(re.findall(r"`((?:streamapp|faust)_\w+)`", metrics_page()))
    return names | {f"{name}_{part}" for name in names for part in ("bucket", "sum", "count")}


def check_command(words: list[str]) -> None:
    """Follow the words through our commands; each option must be one of the last command."""
    command: Any = main
    while words and isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(click.Context(command), name)
        assert command, f"there is no command {name}"
    options = {option for parameter in command.params for option in parameter.opts}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - options
    assert not unknown - {"--help"}, f"{command.name} has no {unknown}"


@pytest.mark.parametrize("block", all_blocks(*SHELL), ids=place_of)
def test_commands_exist_as_they_are_shown(block: Block) -> None:
    """Every command of ours and of make is there, with every option; shell blocks are shell."""
    if block.language in ("sh", "bash"):
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for name, *words in commands(block):
        if name == "streamapp":
            check_command(words)
        elif name == "make" and block.language != "text":
            assert {word for word in words if "=" not in word} <= make_targets()


@pytest.mark.parametrize("block", all_blocks("python"), ids=place_of)
def test_python_is_python_and_imports_what_there_is(block: Block) -> None:
    """It compiles, and what it imports of streamapp exists under that name."""
    is_entry = block.title.startswith("one line of")
    tree = ast.parse(f"{{{block.text}}}" if is_entry else block.text)
    if block.title.startswith("an import of"):  # of what the page adds
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("streamapp"):
            module = import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("block", all_blocks("json"), ids=place_of)
def test_json_is_json_and_requests_are_valid(block: Block) -> None:
    """A JSON block is one value; one that is a request of a built-in type would be taken."""
    value = json.loads(block.text)

    if isinstance(value, dict) and "type" in value and "status" not in value:
        registry = Registry.load(())
        if value["type"] in registry.types and "output" not in value and "line" not in value:
            registry.decode(block.text.strip().encode())
        else:
            assert value["type"] in {*registry.types, *OTHER_TYPES}


@pytest.mark.parametrize("block", all_blocks("toml"), ids=place_of)
def test_toml_is_settings_or_prices(block: Block, tmp_path: Path) -> None:
    """Tables of the file are valid settings together; a file of prices can be read."""
    tables = tomllib.loads(block.text)

    if {"providers", "models", "budgets", "flows", "keys", "mcp"}.isdisjoint(tables):
        (tmp_path / "prices.toml").write_text(block.text)
        load_prices(tmp_path / "prices.toml")
        return
    routes = [route for model in tables.get("models", {}).values() for route in model.values()]
    named = {target.partition("/")[0] for route in routes for target in route}
    providers = {name: {"kind": "offline"} for name in named} | tables.pop("providers", {})
    for provider in providers.values():
        # A page may show one table of a provider that another page sets up.
        if provider.setdefault("kind", "openai") in OTHER_KINDS:
            provider["kind"] = "offline"
    Settings(providers=providers, **tables)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=place_of)
def test_yaml_is_yaml(block: Block) -> None:
    """It is one mapping."""
    assert isinstance(yaml.safe_load(block.text), dict)


def test_the_arithmetic_of_sizes_comes_out(tmp_path: Path) -> None:
    """docs/sizing.md prints what it says."""
    (program,) = blocks(DOCS / "sizing.md", "python")
    (shown,) = blocks(DOCS / "sizing.md", "json")

    printed = subprocess.run([sys.executable, "-c", program.text], capture_output=True, check=True)

    assert json.loads(printed.stdout) == json.loads(shown.text)


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".env.example"], ids=lambda page: page.name)
def test_named_settings_and_metrics_exist(page: Path) -> None:
    """A page names no setting and no metric that is not there."""
    text = page.read_text()
    settings = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    written = re.findall(r"\bSTREAMAPP_[A-Z_]*[A-Z](?![A-Z_*])", text)
    named = {word.partition("__")[0] for word in written}  # of a table's key, the table
    counted = set(re.findall(r"\b(?:streamapp|faust)_[a-z_]+[a-z]\b(?=[{\[`)]| )", text))

    assert named - settings == set()
    assert counted - metrics() - OTHER_NAMES == set()
